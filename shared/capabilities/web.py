"""The web tier: a load balancer in front of an Auto Scaling group (OPT-02)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.section import Capability

# AWS Graviton: `a1`, or a `g` among the letters after the generation (EC2 User Guide, "Instance type naming").
GRAVITON = re.compile(r"^(a1|[a-z]+\d+[a-z]*g[a-z]*)\.")


class WebSettings(Capability):
    """Instances, scaling, health, and how DNS chooses among the regions.

    ``subdomain`` goes before the environment's domain name. ``latency`` leads to the nearest healthy region,
    ``failover`` to the primary region and elsewhere only while it is down. ``max_instance_age_days`` is how old an
    instance, and the image that it runs, may become. What an alarm is raised above: ``unhealthy_hosts``,
    ``target_5xx_percent``.
    """

    subdomain: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")] = "www"
    routing: Literal["latency", "failover"] = "latency"
    instance_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")] = "t3.micro"
    volume_gb: Annotated[int, Field(ge=8, le=1024)] = 8
    min_instances: Annotated[int, Field(ge=1, le=100)] = 1
    max_instances: Annotated[int, Field(ge=1, le=100)] = 3
    max_instance_age_days: Annotated[int, Field(ge=1, le=365)] = 14
    cpu_target_percent: Annotated[float, Field(gt=0, le=100)] = 60
    health_interval_s: Annotated[int, Field(ge=5, le=300)] = 15
    deregistration_delay_s: Annotated[int, Field(ge=0, le=3600)] = 30
    hsts_seconds: Annotated[int, Field(ge=0, le=63_072_000)] = 31_536_000
    unhealthy_hosts: Annotated[int, Field(ge=0)] = 0
    target_5xx_percent: Annotated[float, Field(ge=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _range(self) -> WebSettings:
        if self.min_instances > self.max_instances:
            raise ValueError(f"min_instances {self.min_instances} must be at most max_instances {self.max_instances}")
        return self

    @property
    def architecture(self) -> Literal["arm64", "x86_64"]:
        """What the instance type's processor runs, as Amazon's image parameters name it."""
        return "arm64" if GRAVITON.match(self.instance_type) else "x86_64"
