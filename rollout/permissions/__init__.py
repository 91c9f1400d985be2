"""Least privilege, shown: what the roles are granted, what of it a run of the system used, and what nothing notices.

`record` reads what the sandbox noted while it enforced IAM, `mutations` removes one granted action after the other and
asks the recorded calls again, `unproven` says why some actions stay that no call proves, and `report` writes it down.
"""
