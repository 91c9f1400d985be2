"""The alarms of a region, a module per thing that is watched.

Each module says in plain data what is alarming (:class:`stacks.observability.alarms.alarm.AlarmSpec`);
``region.py`` puts them together and makes the Terraform resources.
"""
