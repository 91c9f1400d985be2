"""The private ways to AWS services, and the security groups around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_endpoint import VpcEndpoint
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from shared.grants import document
from shared.site import Site
from stacks.network.vpc import IsolatedVpc

HTTPS = 443

# What may pass each endpoint, for principals of this account. The functions' own roles are narrower still.
GATEWAY_ACTIONS = {
    "s3": ("s3:GetObject", "s3:PutObject"),
    "dynamodb": (
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:Query",
        "dynamodb:ConditionCheckItem",
    ),
}
# What optional capabilities need besides: to tell a missing object from a forbidden one, and to list summaries.
CAPABILITY_ACTIONS = {"processing": {"s3": ("s3:ListBucket",)}}
INTERFACE_ACTIONS = {
    "states": ("states:StartExecution",),
    "events": ("events:PutEvents",),
    "secretsmanager": ("secretsmanager:GetSecretValue",),
}


class ServiceEndpoints(Construct):
    """Gateway endpoints for S3 and DynamoDB, interface endpoints for what else the functions call."""

    def __init__(self, scope: Construct, id: str, *, site: Site, network: IsolatedVpc) -> None:
        super().__init__(scope, id)
        self.security_group = SecurityGroup(
            self,
            "group",
            name=site.name("endpoints"),
            description="Interface endpoints: HTTPS from the functions",
            vpc_id=network.vpc.id,
            tags={"Name": site.name("endpoints")},
        )
        self.gateways = {
            service: VpcEndpoint(
                self,
                service,
                vpc_id=network.vpc.id,
                service_name=_service_name(site, service),
                vpc_endpoint_type="Gateway",
                route_table_ids=[network.private_route_table.id],
                policy=_endpoint_policy(site, service, (*actions, *_of_capabilities(site, service))),
                tags={"Name": site.name(service)},
            )
            for service, actions in GATEWAY_ACTIONS.items()
        }
        for service, actions in INTERFACE_ACTIONS.items():
            VpcEndpoint(
                self,
                service,
                vpc_id=network.vpc.id,
                service_name=_service_name(site, service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=network.private_subnet_ids,
                security_group_ids=[self.security_group.id],
                policy=_endpoint_policy(site, service, actions),
                tags={"Name": site.name(service)},
            )


class FunctionsSecurityGroup(Construct):
    """The functions' group: HTTPS out to the endpoints and nowhere else, nothing in."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, network: IsolatedVpc, endpoints: ServiceEndpoints
    ) -> None:
        super().__init__(scope, id)
        self.group = SecurityGroup(
            self,
            "group",
            name=site.name("functions"),
            description="Lambda functions: HTTPS to the service endpoints",
            vpc_id=network.vpc.id,
            tags={"Name": site.name("functions")},
        )
        _allow_https(
            self,
            VpcSecurityGroupEgressRule,
            "to-endpoints",
            site=site,
            security_group_id=self.group.id,
            referenced_security_group_id=endpoints.security_group.id,
        )
        _allow_https(
            self,
            VpcSecurityGroupIngressRule,
            "into-endpoints",
            site=site,
            security_group_id=endpoints.security_group.id,
            referenced_security_group_id=self.group.id,
        )
        for service, gateway in endpoints.gateways.items():
            _allow_https(
                self,
                VpcSecurityGroupEgressRule,
                f"to-{service}",
                site=site,
                security_group_id=self.group.id,
                prefix_list_id=gateway.prefix_list_id,
            )
        if site.settings.network.nat_gateway:
            _allow_https(
                self,
                VpcSecurityGroupEgressRule,
                "to-internet",
                site=site,
                security_group_id=self.group.id,
                cidr_ipv4="0.0.0.0/0",
            )


def _allow_https(
    scope: Construct,
    rule: type[VpcSecurityGroupEgressRule] | type[VpcSecurityGroupIngressRule],
    id: str,
    *,
    site: Site,
    **peer: Any,
) -> None:
    rule(
        scope,
        id,
        description=f"HTTPS {id.replace('-', ' ')}",
        ip_protocol="tcp",
        from_port=HTTPS,
        to_port=HTTPS,
        tags={"Name": site.name(id)},
        **peer,
    )


def _service_name(site: Site, service: str) -> str:
    return f"com.amazonaws.{site.region}.{service}"


def _of_capabilities(site: Site, service: str) -> list[str]:
    on = site.environment.capabilities
    return [action for name, more in CAPABILITY_ACTIONS.items() if name in on for action in more.get(service, ())]


def _resources(site: Site, service: str) -> list[str]:
    """What of a service the environment has made in this region, by its names."""
    ours = site.name("*")
    secret = site.environment.processor.secret_name or ours
    return {
        "s3": [site.bucket_arn("*"), f"{site.bucket_arn('*')}/*"],
        "dynamodb": [site.arn("dynamodb", f"table/{ours}"), site.arn("dynamodb", f"table/{ours}/index/*")],
        "states": [site.arn("states", f"stateMachine:{ours}")],
        "events": [site.arn("events", f"event-bus/{ours}")],
        # Secrets Manager ends a secret's ARN with six random characters.
        "secretsmanager": [site.arn("secretsmanager", f"secret:{secret}-??????")],
    }[service]


def _endpoint_policy(site: Site, service: str, actions: Sequence[str]) -> str:
    return document(
        [
            {
                "Sid": "OwnAccountOnly",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": list(actions),
                "Resource": _resources(site, service),
                "Condition": {
                    "StringEquals": {"aws:PrincipalAccount": site.account_id, "aws:ResourceAccount": site.account_id}
                },
            }
        ]
    )
