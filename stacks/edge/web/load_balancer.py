"""The load balancer and what it listens to."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.lb import Lb, LbAccessLogs
from cdktf_cdktf_provider_aws.lb_listener import (
    LbListener,
    LbListenerDefaultAction,
    LbListenerDefaultActionRedirect,
)
from constructs import Construct

from shared.site import Site
from shared.suppressions import suppress
from stacks.compute.contract import WebComputeOutputs
from stacks.edge.web.access_logs import WebAccessLogs
from stacks.network.contract import WebNetworkOutputs
from stacks.network.endpoints import HTTPS
from stacks.network.tiers import HTTP

# TLS 1.2 and 1.3 with forward secrecy (User Guide for Application Load Balancers, "Security policies").
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


class WebLoadBalancer(Construct):
    """HTTPS to the target group, HTTP to HTTPS; in the public subnets, with an access log (OPT-02)."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        network: WebNetworkOutputs,
        compute: WebComputeOutputs,
        certificate_arn: str,
        access_logs: str,
    ) -> None:
        super().__init__(scope, id)
        logs = WebAccessLogs(self, "logs", site=site, access_logs=access_logs)
        self.balancer = Lb(
            self,
            "balancer",
            name=site.name("web"),
            load_balancer_type="application",
            internal=False,
            subnets=network.public_subnet_ids,
            security_groups=[network.load_balancer_security_group_id],
            drop_invalid_header_fields=True,
            enable_deletion_protection=site.production,
            access_logs=LbAccessLogs(bucket=logs.bucket.name, enabled=True),
            # It checks that it may write the log when it is made.
            depends_on=[logs.bucket.policy],
        )
        suppress(self.balancer, "CKV2_AWS_28", "The firewall (edge.waf) is the API's; this shows what is public")
        if not site.production:
            suppress(self.balancer, "CKV_AWS_150", "Outside of production everything can be destroyed (PAY-16)")
        self.https = LbListener(
            self,
            "https",
            load_balancer_arn=self.balancer.arn,
            protocol="HTTPS",
            port=HTTPS,
            ssl_policy=TLS_POLICY,
            certificate_arn=certificate_arn,
            default_action=[LbListenerDefaultAction(type="forward", target_group_arn=compute.web_target_group_arn)],
            routing_http_response_server_enabled=False,
            routing_http_response_strict_transport_security_header_value=f"max-age={site.settings.web.hsts_seconds}",
        )
        LbListener(
            self,
            "http",
            load_balancer_arn=self.balancer.arn,
            protocol="HTTP",
            port=HTTP,
            default_action=[
                LbListenerDefaultAction(
                    type="redirect",
                    redirect=LbListenerDefaultActionRedirect(protocol="HTTPS", port=str(HTTPS), status_code="HTTP_301"),
                )
            ],
        )
