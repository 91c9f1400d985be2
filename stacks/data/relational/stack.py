"""The relational store of one region."""

from __future__ import annotations

from constructs import Construct

from shared.errors import UsageError
from shared.key import RegionalKey, log_groups
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.contract import RELATIONAL, RELATIONAL_STORE, RelationalOutputs
from stacks.data.relational.cluster import GlobalDatabase, RegionalCluster
from stacks.data.relational.group import PORT, StoreGroup
from stacks.data.relational.logs import ClusterLogs, ClusterParameters
from stacks.data.relational.password import master_password
from stacks.network.contract import ApplicationTierOutputs, NetworkOutputs

# Aurora User Guide, "Overview of Amazon Aurora Global Database".
MAX_SECONDARIES = 10


class RelationalStack(LayerStack):
    """One region's cluster of the global database; the primary region's stack has the global database too."""

    spec = RELATIONAL

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        if len(site.other_regions) > MAX_SECONDARIES:
            raise UsageError(f"relational: at most {MAX_SECONDARIES + 1} regions, not {len(site.other_regions) + 1}")
        settings = site.settings.relational
        name = site.name(RELATIONAL_STORE)
        network = self.consume(NetworkOutputs)
        application = self.consume(ApplicationTierOutputs)
        key = RegionalKey(
            self,
            "key",
            site=site,
            thing=RELATIONAL_STORE,
            for_services=False,
            statements=[log_groups(site, f"/aws/rds/cluster/{name}/*")],
        )
        group = StoreGroup(
            self,
            "group",
            site=site,
            vpc_id=network.vpc_id,
            application_group_id=application.application_security_group_id,
        )
        password = None
        if site.is_primary:
            database = GlobalDatabase(self, "global", site=site, name=name)
            global_id, global_endpoint = database.id, database.endpoint
            password = master_password(self, secret_name=settings.entry)
        else:
            owner = self.consume(RelationalOutputs, site.environment.primary)
            global_id, global_endpoint = owner.global_cluster_identifier, owner.global_endpoint
        store = RegionalCluster(
            self,
            "store",
            site=site,
            name=name,
            global_id=global_id,
            password=password,
            subnet_ids=network.private_subnet_ids,
            group=group,
            key=key,
            logs=ClusterLogs(self, "logs", site=site, cluster=name, key=key),
            parameters=ClusterParameters(self, "parameters", site=site),
        )
        self.publish(
            RelationalOutputs(
                cluster_identifier=store.cluster.cluster_identifier,
                cluster_arn=store.cluster.arn,
                writer_endpoint=store.cluster.endpoint,
                reader_endpoint=store.cluster.reader_endpoint,
                global_cluster_identifier=global_id,
                global_endpoint=global_endpoint,
                port=str(PORT),
                database_name=site.at(site.environment.primary).settings.relational.database,
                security_group_id=group.id,
                key_arn=key.arn,
                secret_name=settings.entry,
            )
        )
