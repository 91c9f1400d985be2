"""A region's VPC: private subnets over three zones, and a way out only when configured."""

from __future__ import annotations

from cdktf import Fn, TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_aws.data_aws_availability_zones import (
    DataAwsAvailabilityZones,
    DataAwsAvailabilityZonesFilter,
)
from cdktf_cdktf_provider_aws.default_security_group import DefaultSecurityGroup
from cdktf_cdktf_provider_aws.eip import Eip
from cdktf_cdktf_provider_aws.internet_gateway import InternetGateway
from cdktf_cdktf_provider_aws.nat_gateway import NatGateway
from cdktf_cdktf_provider_aws.route import Route
from cdktf_cdktf_provider_aws.route_table import RouteTable
from cdktf_cdktf_provider_aws.route_table_association import RouteTableAssociation
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc import Vpc
from constructs import Construct

from shared.site import Site
from stacks.network.addresses import AddressPlan


class IsolatedVpc(Construct):
    """A VPC whose private subnets reach AWS services through endpoints only.

    With ``network.nat_gateway`` it also gets public subnets and one NAT gateway, for a card processor that is on the
    internet; with the web capability public subnets for its load balancer.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site) -> None:
        super().__init__(scope, id)
        settings = site.settings
        plan = AddressPlan.of(settings.cidr, settings.network.zones)
        self.vpc = Vpc(
            self,
            "vpc",
            cidr_block=settings.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": site.name("vpc")},
        )
        # The VPC's own default group admits everything within itself: empty it.
        DefaultSecurityGroup(self, "default-group", vpc_id=self.vpc.id, tags={"Name": site.name("unused")})
        zones = DataAwsAvailabilityZones(
            self,
            "zones",
            state="available",
            filter=[
                # Local zones and wavelength zones would need opting in.
                DataAwsAvailabilityZonesFilter(name="opt-in-status", values=["opt-in-not-required"]),
                # By name: no other kind of zone can come into the list. No region has more than these.
                DataAwsAvailabilityZonesFilter(name="zone-name", values=[f"{site.region}{zone}" for zone in "abcdef"]),
            ],
        )
        self.private_route_table = RouteTable(
            self, "private-routes", vpc_id=self.vpc.id, tags={"Name": site.name("private")}
        )
        self.private_subnets = [
            self._subnet(f"private-{index}", cidr, Fn.element(zones.names, index), site, self.private_route_table)
            for index, cidr in enumerate(plan.private)
        ]
        self.public_subnets: list[Subnet] = []
        if settings.network.nat_gateway or settings.web.enabled:
            gateway = self._add_public_subnets(plan, zones, site)
            if settings.network.nat_gateway:
                self._add_nat(gateway, site)

    @property
    def private_subnet_ids(self) -> list[str]:
        return [subnet.id for subnet in self.private_subnets]

    @property
    def public_subnet_ids(self) -> list[str]:
        return [subnet.id for subnet in self.public_subnets]

    def _subnet(self, id: str, cidr: str, zone: str, site: Site, routes: RouteTable) -> Subnet:
        subnet = Subnet(
            self,
            id,
            vpc_id=self.vpc.id,
            cidr_block=cidr,
            availability_zone=Token.as_string(zone),
            map_public_ip_on_launch=False,
            tags={"Name": site.name(id)},
            # The list of zones may grow; a subnet stays where it is.
            lifecycle=TerraformResourceLifecycle(ignore_changes=["availability_zone"]),
        )
        RouteTableAssociation(self, f"{id}-routes", subnet_id=subnet.id, route_table_id=routes.id)
        return subnet

    def _add_public_subnets(self, plan: AddressPlan, zones: DataAwsAvailabilityZones, site: Site) -> InternetGateway:
        gateway = InternetGateway(self, "internet", vpc_id=self.vpc.id, tags={"Name": site.name("internet")})
        public_routes = RouteTable(self, "public-routes", vpc_id=self.vpc.id, tags={"Name": site.name("public")})
        Route(
            self,
            "public-default",
            route_table_id=public_routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
        )
        self.public_subnets = [
            self._subnet(f"public-{index}", cidr, Fn.element(zones.names, index), site, public_routes)
            for index, cidr in enumerate(plan.public)
        ]
        return gateway

    def _add_nat(self, gateway: InternetGateway, site: Site) -> None:
        address = Eip(self, "nat-address", domain="vpc", tags={"Name": site.name("nat")})
        nat = NatGateway(
            self,
            "nat",
            allocation_id=address.allocation_id,
            subnet_id=self.public_subnets[0].id,
            tags={"Name": site.name("nat")},
            depends_on=[gateway],
        )
        Route(
            self,
            "private-default",
            route_table_id=self.private_route_table.id,
            destination_cidr_block="0.0.0.0/0",
            nat_gateway_id=nat.id,
        )
