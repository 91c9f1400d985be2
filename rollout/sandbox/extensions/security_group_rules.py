"""Security group rules on a prefix list say which prefix list; a rule for every protocol has no ports.

Upstream: neither the request's prefix list is read nor is one described, so Terraform plans to
replace the rule (and its provider then fails). The rule that lets a new group reach everything stays
when it is revoked with ports, as the provider does: every group keeps a way out.

AWS: `PrefixListIds` of IpPermission and `prefixListId` of SecurityGroupRule in the EC2 API
reference; there too: with protocol -1, "traffic on all ports is allowed, regardless of any ports you
specify".

Patched: `_parse_ip_permissions`, `_sg_rule_xml`.
"""

from __future__ import annotations

from typing import Any

from rollout.sandbox.emulator import module, wrap


def apply() -> None:
    network = module("services.ec2")

    def parse(original: Any, params: Any, prefix: str) -> Any:
        rules = original(params, prefix)
        for number, rule in enumerate(rules, 1):
            if rule["IpProtocol"] == "-1":
                rule.pop("FromPort", None)
                rule.pop("ToPort", None)
            lists = rule["PrefixListIds"]
            while name := network._p(params, f"{prefix}.{number}.PrefixListIds.{len(lists) + 1}.PrefixListId"):
                said = network._p(params, f"{prefix}.{number}.PrefixListIds.{len(lists) + 1}.Description")
                lists.append({"PrefixListId": name, "Description": said} if said else {"PrefixListId": name})
        return rules

    def rule_xml(original: Any, group: str, rule: Any, is_egress: bool = False) -> str:
        lists = rule.get("PrefixListIds") or []
        if not lists:
            return str(original(group, rule, is_egress=is_egress))
        identified = {**rule, "SecurityGroupRuleId": network._sg_rule_id(group, is_egress, rule)}
        others = {**identified, "PrefixListIds": []}
        sources = ("IpRanges", "Ipv6Ranges", "UserIdGroupPairs")
        text = str(original(group, others, is_egress=is_egress)) if any(rule.get(name) for name in sources) else ""
        bare = {**identified, **{name: [] for name in sources}, "Description": network._sg_rule_description(rule)}
        for entry in lists:
            item = str(original(group, bare, is_egress=is_egress))
            text += item.replace("</item>", f"<prefixListId>{entry['PrefixListId']}</prefixListId></item>")
        return text

    wrap(network, "_parse_ip_permissions", parse)
    wrap(network, "_sg_rule_xml", rule_xml)
