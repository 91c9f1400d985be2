"""Targets are in use only behind a load balancer, which reports how many of them are healthy.

Upstream: every target is healthy, also of a target group that no load balancer uses; there are no AWS/ApplicationELB
metrics.

AWS: TargetHealth in the Elastic Load Balancing API reference (`unused`, `Target.NotInUse`); "CloudWatch metrics for
your Application Load Balancer" (User Guide for Application Load Balancers): host counts, while there are targets.

Patched: `_describe_target_health`. Added: a thread that reports the host counts of all target groups, at once when one
has changed, else every half a minute (AWS: each minute). No request is sent to a target: each one in use is healthy.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from rollout.sandbox.emulator import module, wrap

_LOOK_EVERY_S = 1.0
_REPORT_EVERY_S = 30.0
_HEALTHY = "<State>healthy</State>"
_UNUSED = (
    "<State>unused</State><Reason>Target.NotInUse</Reason>"
    "<Description>Target group is not configured to receive traffic from the load balancer</Description>"
)

logger = logging.getLogger("tripoint.targets")


def apply() -> None:
    balancing = module("services.alb")

    def describe(original: Any, params: Any) -> Any:
        status, headers, body = original(params)
        group = balancing._tgs.get(balancing._p(params, "TargetGroupArn"))
        if status == 200 and group is not None and not group["LoadBalancerArns"]:
            body = body.decode().replace(_HEALTHY, _UNUSED).encode()
        return status, headers, body

    wrap(balancing, "_describe_target_health", describe)
    threading.Thread(target=_watch, args=(balancing,), name="tripoint-targets", daemon=True).start()


def _watch(balancing: Any) -> None:
    reported = dict[Any, tuple[float, int]]()
    while True:
        time.sleep(_LOOK_EVERY_S)
        try:
            for key, group in balancing._tgs.all_items():
                reported[key] = _report(balancing, key, group, reported.get(key, (0.0, 0)))
        except Exception:
            logger.exception("reading the target groups")


def _report(balancing: Any, key: Any, group: Any, last: tuple[float, int]) -> tuple[float, int]:
    now, arn = time.time(), group["TargetGroupArn"]
    with module("core.responses").request_scope(key[0], arn.split(":")[3]):
        # Without a load balancer nothing is reported, so nothing has been when there is one.
        count = len(balancing._targets.get(arn, [])) if group["LoadBalancerArns"] else 0
        if not count or (count == last[1] and now - last[0] < _REPORT_EVERY_S):
            return last[0], count
        for balancer in group["LoadBalancerArns"]:
            dimensions = {
                "TargetGroup": arn.rsplit(":", 1)[1],
                "LoadBalancer": balancer.rsplit(":", 1)[1].removeprefix("loadbalancer/"),
            }
            for metric, value in (("HealthyHostCount", count), ("UnHealthyHostCount", 0)):
                module("services.cloudwatch").record_metric("AWS/ApplicationELB", metric, value, "Count", dimensions)
    return now, count
