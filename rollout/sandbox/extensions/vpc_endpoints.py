"""VPC endpoints keep their security groups, private DNS, policy and DNS names.

Upstream: of an endpoint only its service, routes and subnets are stored, so `security_group_ids`
and `private_dns_enabled` of an interface endpoint differ in every plan.

AWS: CreateVpcEndpoint, ModifyVpcEndpoint and VpcEndpoint in the EC2 API reference; without a
policy the default one grants full access, without security groups the VPC's default group is used.

Patched: `_create_vpc_endpoint`, `_modify_vpc_endpoint`, `_delete_vpc_endpoints`,
`_vpce_fields_xml`, and `_describe_network_interfaces`, which gets filters. An interface endpoint
has a network interface in each of its subnets; nothing is routed through it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import Any
from xml.sax.saxutils import escape

from rollout.sandbox.emulator import module, wrap

_FULL_ACCESS = json.dumps(
    {
        "Version": "2008-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
    }
)


def apply() -> None:
    network = module("services.ec2")

    def create(original: Any, params: Any) -> Any:
        known = set(network._vpc_endpoints.keys())
        status, headers, _ = original(params)
        made = next(name for name in network._vpc_endpoints if name not in known)
        endpoint = network._vpc_endpoints[made]
        endpoint["PolicyDocument"] = network._p(params, "PolicyDocument") or _FULL_ACCESS
        endpoint["IpAddressType"] = network._p(params, "IpAddressType") or "ipv4"
        endpoint["CreationTimestamp"] = network._now_ts()
        if endpoint["VpcEndpointType"] != "Gateway":
            groups = network._parse_member_list(params, "SecurityGroupId")
            endpoint["Groups"] = groups or [network._vpcs[endpoint["VpcId"]]["DefaultSecurityGroupId"]]
            endpoint["PrivateDnsEnabled"] = network._p(params, "PrivateDnsEnabled") != "false"
            _place_interfaces(network, endpoint)
        fields = network._vpce_fields_xml(endpoint, tag="vpcEndpoint")
        return status, headers, network._xml(200, "CreateVpcEndpointResponse", fields)[2]

    def modify(original: Any, params: Any) -> Any:
        answer = original(params)
        endpoint = network._vpc_endpoints.get(network._p(params, "VpcEndpointId"))
        if answer[0] != 200 or endpoint is None:
            return answer
        removed = network._parse_member_list(params, "RemoveSecurityGroupId")
        groups = [group for group in endpoint.get("Groups", []) if group not in removed]
        endpoint["Groups"] = groups + network._parse_member_list(params, "AddSecurityGroupId")
        private_dns = network._p(params, "PrivateDnsEnabled")
        if private_dns:
            endpoint["PrivateDnsEnabled"] = private_dns == "true"
        if network._p(params, "ResetPolicy") == "true":
            endpoint["PolicyDocument"] = _FULL_ACCESS
        if endpoint["VpcEndpointType"] != "Gateway":
            _place_interfaces(network, endpoint)
        return answer

    def delete(original: Any, params: Any) -> Any:
        for name in network._parse_member_list(params, "VpcEndpointId"):
            endpoint = network._vpc_endpoints.get(name)
            if endpoint is not None:
                _place_interfaces(network, {**endpoint, "SubnetIds": []})
        return original(params)

    def describe_interfaces(_: Any, params: Any) -> Any:
        wanted, filters = network._parse_member_list(params, "NetworkInterfaceId"), network._parse_filters(params)
        items = "".join(
            network._eni_fields_xml(interface)
            for name, interface in network._network_interfaces.items()
            if (not wanted or name in wanted) and _matches(interface, filters)
        )
        answer = f"<networkInterfaceSet>{items}</networkInterfaceSet>"
        return network._xml(200, "DescribeNetworkInterfacesResponse", answer)

    def fields_xml(original: Any, endpoint: Any, tag: str = "item") -> str:
        text: str = original(endpoint, tag=tag)
        closing = f"</{tag}>"
        return text.removesuffix(closing) + _more(network, endpoint) + closing

    wrap(network, "_create_vpc_endpoint", create)
    wrap(network, "_modify_vpc_endpoint", modify)
    wrap(network, "_delete_vpc_endpoints", delete)
    wrap(network, "_vpce_fields_xml", fields_xml)
    wrap(network, "_describe_network_interfaces", describe_interfaces)


def _interface_id(endpoint: Any, subnet: str) -> str:
    return "eni-" + hashlib.sha256((endpoint["VpcEndpointId"] + subnet).encode()).hexdigest()[:17]


def _place_interfaces(network: Any, endpoint: Any) -> None:
    """One network interface in each subnet of the endpoint, and none elsewhere."""
    mark = f"VPC Endpoint Interface {endpoint['VpcEndpointId']}"
    subnets = {_interface_id(endpoint, subnet): subnet for subnet in endpoint.get("SubnetIds", [])}
    for name, interface in list(network._network_interfaces.items()):
        if interface["Description"] == mark and name not in subnets:
            del network._network_interfaces[name]
    for name, subnet in subnets.items():
        place = network._subnets.get(subnet) or {}
        hosts = ipaddress.ip_network(place.get("CidrBlock", "10.0.0.0/24"))
        # AWS reserves the first four addresses and the last one of a subnet.
        offset = 4 + int(name[4:], 16) % (hosts.num_addresses - 5)
        network._network_interfaces[name] = {
            "NetworkInterfaceId": name,
            "SubnetId": subnet,
            "VpcId": endpoint["VpcId"],
            "AvailabilityZone": place.get("AvailabilityZone", ""),
            "Description": mark,
            "OwnerId": endpoint["OwnerId"],
            "Status": "in-use",
            "PrivateIpAddress": str(hosts[offset]),
            "InterfaceType": "vpc_endpoint",
            "SourceDestCheck": True,
            "MacAddress": ":".join(f"0e{name[4:14]}"[i : i + 2] for i in range(0, 12, 2)),
            "Groups": [{"GroupId": group, "GroupName": _group_name(network, group)} for group in endpoint["Groups"]],
            "Attachment": None,
        }


def _group_name(network: Any, group: str) -> str:
    return str((network._security_groups.get(group) or {}).get("GroupName", ""))


def _matches(interface: Any, filters: Any) -> bool:
    values = {
        "network-interface-id": {interface["NetworkInterfaceId"]},
        "subnet-id": {interface["SubnetId"]},
        "vpc-id": {interface["VpcId"]},
        "status": {interface["Status"]},
        "interface-type": {interface.get("InterfaceType", "interface")},
        "group-id": {group["GroupId"] for group in interface.get("Groups", [])},
        # The provider waits until nothing has these two of a load balancer that it has deleted.
        "description": {interface.get("Description", "")},
        "attachment.instance-owner-id": {(interface.get("Attachment") or {}).get("InstanceOwnerId", "")},
    }
    return all(values[name] & set(wanted) for name, wanted in filters.items() if name in values)


def _more(network: Any, endpoint: Any) -> str:
    groups = "".join(
        f"<item><groupId>{group}</groupId><groupName>{escape(_group_name(network, group))}</groupName></item>"
        for group in endpoint.get("Groups", [])
    )
    identity, service = endpoint["VpcEndpointId"], endpoint["ServiceName"]
    interfaces = names = ""
    private = str(bool(endpoint.get("PrivateDnsEnabled"))).lower()
    if endpoint["VpcEndpointType"] != "Gateway":
        interfaces = "".join(
            f"<item>{_interface_id(endpoint, subnet)}</item>" for subnet in endpoint.get("SubnetIds", [])
        )
        short, region = service.rsplit(".", 1)[-1], network.get_region()
        hosts = [f"{identity}.{short}.{region}.vpce.amazonaws.com"]
        if endpoint.get("PrivateDnsEnabled"):
            hosts.append(f"{short}.{region}.amazonaws.com")
        zone = "Z" + hashlib.sha256(service.encode()).hexdigest()[:13].upper()
        names = "".join(f"<item><dnsName>{host}</dnsName><hostedZoneId>{zone}</hostedZoneId></item>" for host in hosts)
    kind = endpoint.get("IpAddressType", "ipv4")
    return (
        f"<policyDocument>{escape(endpoint.get('PolicyDocument', ''))}</policyDocument>"
        f"<privateDnsEnabled>{private}</privateDnsEnabled><requesterManaged>false</requesterManaged>"
        f"<groupSet>{groups}</groupSet><networkInterfaceIdSet>{interfaces}</networkInterfaceIdSet>"
        f"<dnsEntrySet>{names}</dnsEntrySet><ipAddressType>{kind}</ipAddressType>"
        f"<dnsOptions><dnsRecordIpType>{kind}</dnsRecordIpType></dnsOptions>"
        f"<creationTimestamp>{endpoint.get('CreationTimestamp', '')}</creationTimestamp>"
    )
