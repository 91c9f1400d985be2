"""The dashboards: `widgets.py` builds parts, `all_regions.py` and `one_region.py` say what is shown, both as plain
dictionaries in CloudWatch's "Dashboard Body Structure and Syntax"; `dashboard.py` makes the Terraform resources."""
