"""The web tier: a load balancer in front of an Auto Scaling group (OPT-02)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.section import Capability


class WebSettings(Capability):
    """Instances, scaling, and how DNS chooses among the regions.

    ``subdomain`` goes before the environment's domain name. ``latency`` leads to the nearest healthy region,
    ``failover`` to the primary region and elsewhere only while it is down.
    """

    subdomain: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")] = "www"
    routing: Literal["latency", "failover"] = "latency"
    instance_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9]+$")] = "t3.micro"
    volume_gb: Annotated[int, Field(ge=8, le=1024)] = 8
    min_instances: Annotated[int, Field(ge=1, le=100)] = 1
    max_instances: Annotated[int, Field(ge=1, le=100)] = 3
    cpu_target_percent: Annotated[float, Field(gt=0, le=100)] = 60
    unhealthy_hosts: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _range(self) -> WebSettings:
        if self.min_instances > self.max_instances:
            raise ValueError(f"min_instances {self.min_instances} must be at most max_instances {self.max_instances}")
        return self
