"""A log group as every layer makes one."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from constructs import Construct

from shared.site import Site
from shared.suppressions import suppress

YEAR_DAYS = 365


def log_group(scope: Construct, id: str, *, site: Site, name: str, key_arn: str) -> CloudwatchLogGroup:
    """A group under a key of ours that forgets when the configuration says (OPT-07)."""
    days = site.settings.logs.retention_days
    group = CloudwatchLogGroup(scope, id, name=name, retention_in_days=days, kms_key_id=key_arn)
    if days < YEAR_DAYS and not site.production:
        suppress(group, "CKV_AWS_338", "A year is for production; elsewhere logs.retention_days says")
    return group
