"""The relational store: Aurora MySQL Serverless v2 as a global database (OPT-01)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from shared.section import Capability

Acu = Annotated[float, Field(ge=0.5, le=256, multiple_of=0.5)]


class RelationalSettings(Capability):
    """Aurora capacity units, backups, alarms. The master password is an existing Secrets Manager entry, by name.

    Aurora does not manage the password of a cluster that is part of a global database (Aurora User Guide, "Limitations
    for Secrets Manager integration"). A higher ``password_version`` has the entry read and set again.
    """

    secret_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_+=.@-]{1,200}$")] | None = None
    engine_version: Annotated[str, Field(pattern=r"^8\.0\.mysql_aurora\.3\.[0-9]{2}\.[0-9]$")] = (
        "8.0.mysql_aurora.3.08.2"
    )
    database: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = "tripoint"
    username: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = "admin"
    password_version: Annotated[int, Field(ge=1)] = 1
    instances: Annotated[int, Field(ge=2, le=15)] = 2
    min_acu: Acu = 0.5
    max_acu: Acu = 2
    backup_days: Annotated[int, Field(ge=1, le=35)] = 35
    slow_query_s: Annotated[float, Field(ge=0, le=3_600)] = 2
    cpu_percent: Annotated[float, Field(gt=0, le=100)] = 80
    connections: Annotated[int, Field(ge=1)] = 100
    # Of the capacity that max_acu allows.
    capacity_percent: Annotated[float, Field(gt=0, le=100)] = 95
    replication_lag_ms: Annotated[int, Field(ge=1)] = 5_000

    @model_validator(mode="after")
    def _complete(self) -> RelationalSettings:
        if self.enabled and self.secret_name is None:
            raise ValueError("secret_name is required when enabled: an existing Secrets Manager entry")
        if self.min_acu > self.max_acu:
            raise ValueError(f"min_acu {self.min_acu:g} must be at most max_acu {self.max_acu:g}")
        return self

    @property
    def entry(self) -> str:
        """The name of the password's entry, which is there when the capability is on."""
        assert self.secret_name is not None
        return self.secret_name
