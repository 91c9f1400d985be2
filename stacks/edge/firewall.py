"""An AWS WAF web ACL in front of the API, where the configuration asks for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cdktf_cdktf_provider_aws.wafv2_web_acl import (
    Wafv2WebAcl,
    Wafv2WebAclDefaultAction,
    Wafv2WebAclDefaultActionAllow,
    Wafv2WebAclRule,
    Wafv2WebAclRuleAction,
    Wafv2WebAclRuleActionBlock,
    Wafv2WebAclRuleOverrideAction,
    Wafv2WebAclRuleOverrideActionNone,
    Wafv2WebAclRuleVisibilityConfig,
    Wafv2WebAclVisibilityConfig,
)
from cdktf_cdktf_provider_aws.wafv2_web_acl_association import Wafv2WebAclAssociation
from cdktf_cdktf_provider_aws.wafv2_web_acl_logging_configuration import (
    Wafv2WebAclLoggingConfiguration,
    Wafv2WebAclLoggingConfigurationRedactedFields,
    Wafv2WebAclLoggingConfigurationRedactedFieldsSingleHeader,
)
from constructs import Construct

from shared.logs import log_group
from shared.site import Site
from stacks.edge.api import PaymentApi


@dataclass(frozen=True)
class ManagedRules:
    """A rule group that AWS maintains."""

    name: str
    group: str


MANAGED_RULES = (
    ManagedRules("ip-reputation", "AWSManagedRulesAmazonIpReputationList"),
    ManagedRules("known-bad-inputs", "AWSManagedRulesKnownBadInputsRuleSet"),
    ManagedRules("common", "AWSManagedRulesCommonRuleSet"),
)


class Firewall(Construct):
    """Blocks floods from one address first, then what the managed rules know as bad; the rest passes.

    Route 53's health checkers stay far below any allowed limit: each asks once per interval.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, api: PaymentApi, key_arn: str) -> None:
        super().__init__(scope, id)
        name = site.name("payments")
        self.acl = Wafv2WebAcl(
            self,
            "acl",
            name=name,
            scope="REGIONAL",
            default_action=Wafv2WebAclDefaultAction(allow=Wafv2WebAclDefaultActionAllow()),
            rule=[
                _rate_rule(site.settings.edge.waf_rate_limit),
                *(_managed_rule(rules, priority) for priority, rules in enumerate(MANAGED_RULES, start=1)),
            ],
            visibility_config=Wafv2WebAclVisibilityConfig(**_visibility(name)),
        )
        Wafv2WebAclAssociation(self, "stage", resource_arn=api.stage.arn, web_acl_arn=self.acl.arn)
        # WAF writes only to groups whose names begin so (WAF Developer Guide, CloudWatch Logs).
        logs = log_group(self, "logs", site=site, name=f"aws-waf-logs-{name}", key_arn=key_arn)
        Wafv2WebAclLoggingConfiguration(
            self,
            "logging",
            resource_arn=self.acl.arn,
            log_destination_configs=[logs.arn],
            redacted_fields=[
                Wafv2WebAclLoggingConfigurationRedactedFields(
                    single_header=Wafv2WebAclLoggingConfigurationRedactedFieldsSingleHeader(name="authorization")
                )
            ],
        )


def _rate_rule(limit: int) -> Wafv2WebAclRule:
    return Wafv2WebAclRule(
        name="rate-per-address",
        priority=0,
        action=Wafv2WebAclRuleAction(block=Wafv2WebAclRuleActionBlock()),
        statement={"rate_based_statement": {"limit": limit, "aggregate_key_type": "IP"}},
        visibility_config=Wafv2WebAclRuleVisibilityConfig(**_visibility("rate-per-address")),
    )


def _managed_rule(rules: ManagedRules, priority: int) -> Wafv2WebAclRule:
    return Wafv2WebAclRule(
        name=rules.name,
        priority=priority,
        override_action=Wafv2WebAclRuleOverrideAction(none=Wafv2WebAclRuleOverrideActionNone()),
        statement={"managed_rule_group_statement": {"name": rules.group, "vendor_name": "AWS"}},
        visibility_config=Wafv2WebAclRuleVisibilityConfig(**_visibility(rules.name)),
    )


def _visibility(metric: str) -> dict[str, Any]:
    return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": True}
