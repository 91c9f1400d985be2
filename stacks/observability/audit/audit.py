"""The audit capability of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from stacks.observability.audit.bucket import TRAIL, TrailBucket, trail_arn
from stacks.observability.audit.catalog import RESULTS, Catalog, Workgroup, database_name, workgroup_name
from stacks.observability.audit.trail import Trail, log_group_name
from stacks.observability.contract import AuditOutputs


class Audit(Construct):
    """The environment's trail, and how it is read, in the primary region; elsewhere only where to find them."""

    def __init__(self, scope: Construct, id: str, *, site: Site, logs_key_arn: str, access_logs: str) -> None:
        super().__init__(scope, id)
        if site.is_primary:
            files = TrailBucket(self, "files", site=site, access_logs=access_logs)
            Trail(self, "trail", site=site, files=files, logs_key_arn=logs_key_arn)
            catalog = Catalog(self, "catalog", site=site)
            Workgroup(self, "workgroup", site=site, catalog=catalog, key_arn=files.key.arn, access_logs=access_logs)
        primary = site.at(site.environment.primary)
        self.outputs = AuditOutputs(
            trail_arn=trail_arn(site),
            audit_bucket_name=primary.bucket_name(TRAIL),
            audit_log_group_name=log_group_name(primary) if primary.settings.audit.cloudwatch else "",
            audit_database_name=database_name(primary),
            athena_workgroup_name=workgroup_name(primary),
            athena_results_bucket_name=primary.bucket_name(RESULTS),
        )
