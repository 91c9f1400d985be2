"""Settings that upstream accepts and forgets are stored and read back.

Upstream: Step Functions forgets `tracingConfiguration`, event source mappings forget their key,
metrics and poller settings, a Route 53 health check loses its regions and children, an event bus
loses a policy that is given as a document, a trail its tags and its log group.

AWS: CreateStateMachine (Step Functions), CreateEventSourceMapping (Lambda), HealthCheckConfig
(Route 53) and PutPermission (EventBridge) in the services' API references.

Patched: `_create_state_machine`, `_update_state_machine`, `_create_esm`, `_update_esm`,
`_parse_health_check_config`, `_put_permission`, `_create_trail`, `_create_db_cluster`, `_modify_db_cluster`,
`_cluster_xml`, `_create_asg`, `_describe_asgs`.
"""

from __future__ import annotations

import json
from typing import Any

from rollout.sandbox.emulator import module, wrap

_TRAIL_LOGS = ("CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn")
_MAPPING_SETTINGS = (
    "KMSKeyArn",
    "MetricsConfig",
    "ProvisionedPollerConfig",
    "TumblingWindowInSeconds",
    "StartingPositionTimestamp",
)


def apply() -> None:
    _keep_tracing(module("services.stepfunctions"))
    _keep_mapping_settings(module("services.lambda_svc"))
    _keep_health_check_lists(module("services.route53"))
    _keep_bus_policy(module("services.eventbridge"))
    _keep_trail_settings(module("services.cloudtrail"))
    _keep_log_exports(module("services.rds"))
    _keep_target_groups(module("services.autoscaling"))


def _keep_tracing(workflows: Any) -> None:
    def create(original: Any, data: Any) -> Any:
        answer = original(data)
        if answer[0] == 200:
            machine = workflows._state_machines[json.loads(answer[2])["stateMachineArn"]]
            machine["tracingConfiguration"] = data.get("tracingConfiguration") or {"enabled": False}
        return answer

    def update(original: Any, data: Any) -> Any:
        answer = original(data)
        if answer[0] == 200 and "tracingConfiguration" in data:
            machine = workflows._state_machines[data["stateMachineArn"]]
            machine["tracingConfiguration"] = data["tracingConfiguration"]
        return answer

    wrap(workflows, "_create_state_machine", create)
    wrap(workflows, "_update_state_machine", update)


def _keep_mapping_settings(functions: Any) -> None:
    def store(answer: Any, data: Any) -> Any:
        if answer[0] not in (200, 202):
            return answer
        mapping = functions._esms[json.loads(answer[2])["UUID"]]
        mapping.update({name: data[name] for name in _MAPPING_SETTINGS if name in data})
        if not (mapping.get("MetricsConfig") or {}).get("Metrics"):
            mapping.pop("MetricsConfig", None)  # no metrics chosen is no configuration
        return functions.json_response(functions._esm_response(mapping), answer[0])

    wrap(functions, "_create_esm", lambda original, data: store(original(data), data))
    wrap(functions, "_update_esm", lambda original, name, data: store(original(name, data), data))


def _keep_health_check_lists(dns: Any) -> None:
    def parse(original: Any, element: Any) -> Any:
        config = original(element)
        for outer, inner in (("Regions", "Region"), ("ChildHealthChecks", "ChildHealthCheck")):
            listed = dns._find(element, outer)
            if listed is not None:
                config[outer] = [item.text for item in dns._findall(listed, inner)]
        return config

    wrap(dns, "_parse_health_check_config", parse)


def _keep_bus_policy(events: Any) -> None:
    def put(original: Any, data: Any) -> Any:
        document = data.get("Policy")
        if not document:
            return original(data)
        try:
            policy = json.loads(document)
        except ValueError:
            return events.error_response_json("ValidationException", "Policy is not valid JSON.", 400)
        name = str(data.get("EventBusName") or "default").rsplit("/", 1)[-1]
        if name not in events._event_buses:
            return events.error_response_json("ResourceNotFoundException", f"Event bus {name} does not exist.", 400)
        events._event_bus_policies[name] = policy
        return events.json_response({})

    wrap(events, "_put_permission", put)


def _keep_trail_settings(trails: Any) -> None:
    def create(original: Any, data: Any) -> Any:
        answer = original(data)
        if answer[0] != 200:
            return answer
        made = json.loads(answer[2])
        if data.get("TagsList"):
            trails._add_tags({"ResourceId": made["TrailARN"], "TagsList": data["TagsList"]})
        logs = {name: data[name] for name in _TRAIL_LOGS if data.get(name)}
        trails._trails[made["Name"]].update(logs)
        return trails._ok({**made, **logs})

    wrap(trails, "_create_trail", create)


def _keep_log_exports(databases: Any) -> None:
    def create(original: Any, params: Any) -> Any:
        answer = original(params)
        cluster = databases._clusters.get(databases._p(params, "DBClusterIdentifier"))
        if answer[0] == 200 and cluster is not None:
            cluster["EnabledCloudwatchLogsExports"] = databases._parse_member_list(
                params, "EnableCloudwatchLogsExports"
            )
        return answer

    def modify(original: Any, params: Any) -> Any:
        cluster = databases._clusters.get(databases._p(params, "DBClusterIdentifier"))
        change = "CloudwatchLogsExportConfiguration"
        added = databases._parse_member_list(params, f"{change}.EnableLogTypes")
        removed = databases._parse_member_list(params, f"{change}.DisableLogTypes")
        if cluster is not None and (added or removed):
            kept = [kind for kind in cluster.get("EnabledCloudwatchLogsExports", []) if kind not in removed]
            cluster["EnabledCloudwatchLogsExports"] = kept + [kind for kind in added if kind not in kept]
        return original(params)

    def cluster_xml(original: Any, cluster: Any) -> str:
        kinds = "".join(f"<member>{kind}</member>" for kind in cluster.get("EnabledCloudwatchLogsExports") or [])
        return f"{original(cluster)}<EnabledCloudwatchLogsExports>{kinds}</EnabledCloudwatchLogsExports>"

    wrap(databases, "_create_db_cluster", create)
    wrap(databases, "_modify_db_cluster", modify)
    wrap(databases, "_cluster_xml", cluster_xml)


def _keep_target_groups(groups: Any) -> None:
    def create(original: Any, params: Any) -> Any:
        answer = original(params)
        group = groups._asgs.get(groups._p(params, "AutoScalingGroupName"))
        if answer[0] == 200 and group is not None:
            group["TargetGroupARNs"] = groups._parse_member_list(params, "TargetGroupARNs")
        return answer

    def describe(original: Any, params: Any) -> Any:
        status, headers, body = original(params)
        text = body.decode()
        for name, group in groups._asgs.items():
            arns = "".join(f"<member>{arn}</member>" for arn in group.get("TargetGroupARNs", []))
            mark = f"<AutoScalingGroupARN>{group['AutoScalingGroupARN']}</AutoScalingGroupARN>"
            if arns and name in text:
                text = text.replace(mark, f"{mark}<TargetGroupARNs>{arns}</TargetGroupARNs>")
        return status, headers, text.encode()

    wrap(groups, "_create_asg", create)
    wrap(groups, "_describe_asgs", describe)
