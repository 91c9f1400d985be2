"""Flow logs keep their role, aggregation interval, format, destination options and tags.

Upstream: only resource, traffic type and destination are stored, so every plan replaces the flow
log.

AWS: CreateFlowLogs and FlowLog in the EC2 API reference; the aggregation interval is 600 s and the
format the default one unless the request says otherwise, the tag specification's type is
`vpc-flow-log`.

Patched: `_create_flow_logs`, `_describe_flow_logs`. No traffic is recorded.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from rollout.sandbox.emulator import module, wrap

_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} "
    "${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)
_OPTIONS = ("FileFormat", "HiveCompatiblePartitions", "PerHourPartition")
_SHOWN = {
    "flowLogId": "FlowLogId",
    "resourceId": "ResourceId",
    "trafficType": "TrafficType",
    "logDestinationType": "LogDestinationType",
    "logDestination": "LogDestination",
    "logGroupName": "LogGroupName",
    "deliverLogsPermissionArn": "DeliverLogsPermissionArn",
    "deliverLogsStatus": "DeliverLogsStatus",
    "flowLogStatus": "FlowLogStatus",
    "creationTime": "CreationTime",
    "logFormat": "LogFormat",
    "maxAggregationInterval": "MaxAggregationInterval",
}
_FILTERS = {
    "resource-id": "ResourceId",
    "traffic-type": "TrafficType",
    "log-destination-type": "LogDestinationType",
    "flow-log-id": "FlowLogId",
    "log-group-name": "LogGroupName",
}


def apply() -> None:
    network = module("services.ec2")

    def create(original: Any, params: Any) -> Any:
        known = set(network._flow_logs.keys())
        answer = original(params)
        for name, log in network._flow_logs.items():
            if name not in known:
                _complete(network, params, log)
                network._parse_tag_specs(params, "vpc-flow-log", name)
        return answer

    def describe(_: Any, params: Any) -> Any:
        wanted, filters = network._parse_member_list(params, "FlowLogId"), network._parse_filters(params)
        items = "".join(
            _xml(network, log)
            for name, log in network._flow_logs.items()
            if (not wanted or name in wanted)
            and network._resource_matches_tag_filters(name, filters)
            and all(log.get(_FILTERS[key]) in values for key, values in filters.items() if key in _FILTERS)
        )
        return network._xml(200, "DescribeFlowLogsResponse", f"<flowLogSet>{items}</flowLogSet>")

    wrap(network, "_create_flow_logs", create)
    wrap(network, "_describe_flow_logs", describe)


def _complete(network: Any, params: Any, log: dict[str, Any]) -> None:
    def given(name: str) -> Any:
        return network._p(params, name) or None

    log["DeliverLogsPermissionArn"] = given("DeliverLogsPermissionArn")
    log["DeliverLogsStatus"] = "SUCCESS"
    log["LogFormat"] = given("LogFormat") or _FORMAT
    log["MaxAggregationInterval"] = given("MaxAggregationInterval") or "600"
    if log["LogDestinationType"] == "cloud-watch-logs":
        log["LogGroupName"] = str(log["LogDestination"]).partition(":log-group:")[2].removesuffix(":*")
    log["Options"] = {name: given(f"DestinationOptions.{name}") for name in _OPTIONS}


def _xml(network: Any, log: dict[str, Any]) -> str:
    fields = "".join(f"<{tag}>{escape(str(log[name]))}</{tag}>" for tag, name in _SHOWN.items() if log.get(name))
    options = "".join(
        f"<{name[0].lower()}{name[1:]}>{value}</{name[0].lower()}{name[1:]}>"
        for name, value in (log.get("Options") or {}).items()
        if value
    )
    if options:
        fields += f"<destinationOptions>{options}</destinationOptions>"
    return f"<item>{fields}{network._tag_set_xml(log['FlowLogId'])}</item>"
