"""The address plan of a region's block."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

PUBLIC_PREFIX = 24


@dataclass(frozen=True)
class AddressPlan:
    """CIDR blocks by zone: three quarters of the block are private, the last quarter is left for public subnets.

    The functions' network interfaces live in the private subnets, 16,379 usable addresses each in a /16 block and 1,019
    in a /20; a public subnet only ever holds a NAT gateway or a load balancer.
    """

    private: tuple[str, ...]
    public: tuple[str, ...]

    @classmethod
    def of(cls, cidr: str, zones: int) -> AddressPlan:
        """Split a block of /16 to /20 over ``zones`` availability zones (at most three)."""
        quarters = list(IPv4Network(cidr).subnets(prefixlen_diff=2))
        public = quarters[3].subnets(new_prefix=PUBLIC_PREFIX)
        return cls(
            private=tuple(str(quarters[zone]) for zone in range(zones)),
            public=tuple(str(next(public)) for _ in range(zones)),
        )
