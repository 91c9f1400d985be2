"""What a target group of addresses lacks of its Auto Scaling group, and what it has too much.

EC2 Auto Scaling does not attach groups to target groups of type `ip`, so three things that it does for others are
done here: registering, deregistering, and replacing an instance that the load balancer finds unhealthy. Decided from
what is there and not from events: whatever is missed or delivered twice, the next run sees the same and does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

# Names of the group's lifecycle hooks.
LAUNCH_HOOK = "serving"
TERMINATE_HOOK = "drained"

# Lifecycle states (EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling instance lifecycle").
STARTING = "Pending:Wait"
LEAVING = "Terminating:Wait"
IN_SERVICE = "InService"
_SERVES = frozenset({STARTING, "Pending:Proceed", IN_SERVICE})

# Target states (Elastic Load Balancing API, TargetHealth). A target group that no load balancer uses checks nothing.
UNHEALTHY = "unhealthy"
DRAINING = "draining"
NOT_IN_USE = "Target.NotInUse"
_READY = frozenset({"healthy", NOT_IN_USE})


@dataclass(frozen=True)
class Instance:
    """An instance of the group. `address` is "" where EC2 does not tell one (yet, or any more)."""

    id: str
    state: str
    address: str


@dataclass(frozen=True)
class Changes:
    """Addresses that come and go, and the instances whose wait is over or that are to be replaced."""

    register: tuple[str, ...] = ()
    deregister: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(self.told().values())

    def told(self) -> dict[str, list[str]]:
        """As plain data."""
        return {field.name: list(getattr(self, field.name)) for field in fields(self)}


class Group(Protocol):
    """The Auto Scaling group."""

    def instances(self) -> Sequence[Instance]:
        """All of its instances."""
        ...

    def proceed(self, instance_id: str, hook: str) -> None:
        """End the wait of an instance; nothing if it does not wait."""
        ...

    def mark_unhealthy(self, instance_id: str) -> None:
        """Have the group replace an instance, unless its grace period still runs."""
        ...


class Targets(Protocol):
    """The target group."""

    def states(self) -> Mapping[str, str]:
        """The state of each target by its address; NOT_IN_USE where no load balancer asks."""
        ...

    def register(self, addresses: Collection[str]) -> None:
        """Send requests to these addresses."""
        ...

    def deregister(self, addresses: Collection[str]) -> None:
        """Let the requests of these addresses end, and send no more."""
        ...


def decide(instances: Sequence[Instance], states: Mapping[str, str]) -> Changes:
    """The changes after which the target group is as the group is.

    - Registered is who serves or is about to. An address that nobody of the group has any more goes; not, while an
      instance's address is unknown: it may be that one.
    - An instance that starts is in service when its target is healthy; until then its hook waits, and gives it up in
      the end. One that leaves may go when its target has drained.
    - "Unhealthy" is the target group's word for failing several checks in a row. It is passed on for instances in
      service only, and the group's health check grace period holds, as with targets that it had attached itself.
    """
    serving = [one for one in instances if one.state in _SERVES]
    wanted = {one.address for one in serving if one.address}
    registered = {address for address, state in states.items() if state != DRAINING}
    surplus = registered - wanted
    if len(wanted) < len(serving):
        surplus &= {one.address for one in instances if one not in serving}
    return Changes(
        register=tuple(sorted(wanted - registered)),
        deregister=tuple(sorted(surplus)),
        started=tuple(one.id for one in serving if one.state == STARTING and states.get(one.address) in _READY),
        drained=tuple(one.id for one in instances if one.state == LEAVING and one.address not in states),
        replace=tuple(one.id for one in serving if one.state == IN_SERVICE and states.get(one.address) == UNHEALTHY),
    )


def reconcile(group: Group, targets: Targets) -> Changes:
    """Make the changes that are due; returns them."""
    changes = decide(group.instances(), targets.states())
    if changes.register:
        targets.register(changes.register)
    if changes.deregister:
        targets.deregister(changes.deregister)
    for instance_id in changes.started:
        group.proceed(instance_id, LAUNCH_HOOK)
    for instance_id in changes.drained:
        group.proceed(instance_id, TERMINATE_HOOK)
    for instance_id in changes.replace:
        group.mark_unhealthy(instance_id)
    return changes
