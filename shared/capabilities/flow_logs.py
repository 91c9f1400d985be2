"""Flow logs as files (OPT-05)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from shared.section import Capability


class FlowLogsSettings(Capability):
    """VPC flow logs to S3, in Parquet and partitioned by the hour; ``cloudwatch`` keeps them in a log group as well.

    ``refused_per_period`` requests to their bucket may be refused before the alarm is raised.
    """

    cloudwatch: bool = True
    expire_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    refused_per_period: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _somewhere(self) -> FlowLogsSettings:
        if not self.enabled and not self.cloudwatch:
            raise ValueError("cloudwatch = false is allowed only with enabled = true: flow logs must go somewhere")
        return self
