"""The web tier's security groups: from the load balancer to the application to the relational store, by reference."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from shared.site import Site
from shared.suppressions import suppress
from stacks.network.contract import WebNetworkOutputs
from stacks.network.endpoints import HTTPS, ServiceEndpoints
from stacks.network.vpc import IsolatedVpc

HTTP = 80
APPLICATION_PORT = 8080
ANYWHERE = "0.0.0.0/0"


class ApplicationTier(Construct):
    """The application's group: HTTPS out to S3, where its code lies. Who may come in and what else it may reach is
    written beside those: the load balancer's group here, the store's group in the data layer."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, network: IsolatedVpc, endpoints: ServiceEndpoints
    ) -> None:
        super().__init__(scope, id)
        self.group = SecurityGroup(
            self,
            "group",
            name=site.name("application"),
            description="The application tier: from the load balancer, to the relational store",
            vpc_id=network.vpc.id,
            tags={"Name": site.name("application")},
        )
        VpcSecurityGroupEgressRule(
            self,
            "to-s3",
            security_group_id=self.group.id,
            description="HTTPS to S3",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            prefix_list_id=endpoints.gateways["s3"].prefix_list_id,
            tags={"Name": site.name("application-to-s3")},
        )


class LoadBalancerTier(Construct):
    """The load balancer's group: HTTP and HTTPS from anywhere, and on to the application alone (OPT-02)."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, network: IsolatedVpc, application: ApplicationTier
    ) -> None:
        super().__init__(scope, id)
        group = SecurityGroup(
            self,
            "group",
            name=site.name("load-balancer"),
            description="The load balancer: HTTP and HTTPS from anywhere, to the application",
            vpc_id=network.vpc.id,
            tags={"Name": site.name("load-balancer")},
        )
        for name, port in {"http": HTTP, "https": HTTPS}.items():
            rule = VpcSecurityGroupIngressRule(
                self,
                name,
                security_group_id=group.id,
                description=f"{name.upper()} from anywhere",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4=ANYWHERE,
                tags={"Name": site.name(f"load-balancer-{name}")},
            )
            if port == HTTP:
                suppress(rule, "CKV_AWS_260", "Only to be redirected to HTTPS (OPT-02)")
        VpcSecurityGroupEgressRule(
            self,
            "to-application",
            security_group_id=group.id,
            description="To the application",
            referenced_security_group_id=application.group.id,
            ip_protocol="tcp",
            from_port=APPLICATION_PORT,
            to_port=APPLICATION_PORT,
            tags={"Name": site.name("load-balancer-to-application")},
        )
        VpcSecurityGroupIngressRule(
            self,
            "into-application",
            security_group_id=application.group.id,
            description="From the load balancer",
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=APPLICATION_PORT,
            to_port=APPLICATION_PORT,
            tags={"Name": site.name("application-from-load-balancer")},
        )
        self.outputs = WebNetworkOutputs(
            public_subnet_ids=network.public_subnet_ids, load_balancer_security_group_id=group.id
        )
