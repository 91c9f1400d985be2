"""Who reaches the store: the application tier of its region, and nobody else."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from shared.site import Site

PORT = 3306


class StoreGroup(Construct):
    """The store's security group: in from the application's group alone, out nowhere. The application's way to here is
    written beside it."""

    def __init__(self, scope: Construct, id: str, *, site: Site, vpc_id: str, application_group_id: str) -> None:
        super().__init__(scope, id)
        group = SecurityGroup(
            self,
            "group",
            name=site.name("relational"),
            description="The relational store: MySQL from the application tier",
            vpc_id=vpc_id,
            tags={"Name": site.name("relational")},
        )
        self.id: str = group.id
        VpcSecurityGroupIngressRule(
            self,
            "from-application",
            security_group_id=group.id,
            description="MySQL from the application",
            referenced_security_group_id=application_group_id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            tags={"Name": site.name("relational-from-application")},
        )
        VpcSecurityGroupEgressRule(
            self,
            "application-to-store",
            security_group_id=application_group_id,
            description="MySQL to the relational store",
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            tags={"Name": site.name("application-to-relational")},
        )
