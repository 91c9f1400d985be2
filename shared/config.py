"""The configuration of one environment: everything that differs between environments, and nowhere else.

A configuration is a TOML file (``config/*.toml``). The sections ``[network]``, ``[functions]``, ``[workflow]``,
``[api]``, ``[edge]``, ``[alarms]``, ``[logs]``, ``[residency]``, ``[lifecycle]`` and those of the capabilities hold for
every region; the same section under a region (``[regions.eu-west-1.functions]``) overrides single keys for that region.
After loading, every region carries its complete settings, so nobody has to merge anything again.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from functions.catalogue import EVERY_FUNCTION
from shared.capabilities import CAPABILITIES, Capabilities
from shared.errors import UsageError
from shared.section import Section

REGIONAL_SECTIONS = (
    "network",
    "functions",
    "workflow",
    "api",
    "edge",
    "alarms",
    "logs",
    "residency",
    "lifecycle",
    *CAPABILITIES,
)

# Longest names: IAM roles (64) and buckets (63): "<project>-<thing>-<account>-<region>-<suffix>".
PROJECT_NAME = r"[a-z][a-z0-9]{1,11}"
SUFFIX = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
MAX_SUFFIX = 12


class ConfigError(UsageError):
    """The configuration is refused; the message names the field, its value and what is allowed."""


@cache
def known_regions() -> frozenset[str]:
    """The regions of the `aws` partition, as botocore's endpoint data lists them for DynamoDB.

    Read from its file, because to import botocore takes a tenth of the time of a whole synthesis.
    """
    botocore = find_spec("botocore")
    assert botocore is not None
    assert botocore.origin is not None
    endpoints = json.loads((Path(botocore.origin).parent / "data" / "endpoints.json").read_bytes())
    aws = next(partition for partition in endpoints["partitions"] if partition["partition"] == "aws")
    return frozenset(aws["regions"]) & frozenset(aws["services"]["dynamodb"]["endpoints"])


# What every service takes as a tag's value (Tag Editor User Guide, "Tag naming limits and requirements"), and nothing
# that Terraform reads as a template.
_TAG_TEXT = r"^[A-Za-z0-9_.:/=+@ -]{1,128}$"


# Blocks for private networks (RFC 1918). A VPC's own may be /16 at most (Amazon VPC User Guide, "VPC CIDR blocks"); the
# address plan needs /20 (stacks/network/addresses.py).
PRIVATE_BLOCKS = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
SHORTEST_PREFIX, LONGEST_PREFIX = 16, 20


def _private_block(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError("must be an IPv4 block of /16 to /20, such as 10.10.0.0/16") from error
    if not SHORTEST_PREFIX <= network.prefixlen <= LONGEST_PREFIX:
        raise ValueError("must be an IPv4 block of /16 to /20, such as 10.10.0.0/16")
    if not any(network.subnet_of(block) for block in PRIVATE_BLOCKS):
        raise ValueError(f"must be a private IPv4 block, within {', '.join(map(str, PRIVATE_BLOCKS))}")
    return str(network)


Text = Annotated[str, Field(pattern=_TAG_TEXT)]
# A host, and a path without what a shell, JSON or Terraform reads anything into. Digits are [0-9]: \d is any script's.
HttpsUrl = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$", max_length=256)]
PrincipalArn = Annotated[str, Field(pattern=r"^arn:aws:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]{1,128})$")]
Cidr = Annotated[str, AfterValidator(_private_block)]
# Lambda raises an account's concurrency to tens of thousands (Lambda developer guide, "Lambda quotas").
Concurrency = Annotated[int, Field(ge=1, le=100_000)]
LogRetention = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]


class ProjectSettings(Section):
    """Who this is and who pays: the first part of every name, and the tags."""

    name: Annotated[str, Field(pattern=f"^{PROJECT_NAME}$")] = "tripoint"
    owner: Text
    cost_center: Text


class TargetSettings(Section):
    """Where the environment lives: the local sandbox or an AWS account."""

    kind: Literal["sandbox", "aws"]
    account_id: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    endpoint: Annotated[str, Field(pattern=r"^http://(127\.0\.0\.1|localhost):[0-9]{2,5}$")] | None = None
    # The sandbox then lets roles do only what they may, as an account always does (docs/fidelity.md).
    enforce_iam: bool = False

    @model_validator(mode="after")
    def _sandbox_only(self) -> TargetSettings:
        if self.kind == "sandbox" and self.endpoint is None:
            raise ValueError("endpoint is required when kind is 'sandbox', such as http://127.0.0.1:4566")
        if self.kind == "aws" and self.endpoint is not None:
            raise ValueError("endpoint is allowed only when kind is 'sandbox'")
        if self.kind == "aws" and self.enforce_iam:
            raise ValueError("enforce_iam is allowed only when kind is 'sandbox': an AWS account always does")
        return self


class StateSettings(Section):
    """Where Terraform's state lives: one bucket per region, `<bucket_prefix>-<account>-<region>-<suffix>`."""

    bucket_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,14}[a-z0-9]$")] = "tripoint-state"


class DomainSettings(Section):
    """The one name that callers use. The hosted zone is made in the primary's edge stack unless its id is given."""

    name: Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=200)]
    hosted_zone_id: Annotated[str, Field(pattern=r"^Z[A-Z0-9]{1,31}$")] | None = None


class ProtectionSettings(Section):
    """What destroying may do (PAY-16). All off: everything can be destroyed. Production turns it on."""

    production: bool = False
    kms_deletion_window_days: Annotated[int, Field(ge=7, le=30)] = 7


class ProcessorSettings(Section):
    """The card processor: the deterministic simulator, or a real one behind HTTPS.

    Its API key is an existing Secrets Manager entry, by name; no secret is here, in code or in state (PAY-18).
    """

    kind: Literal["simulator", "http"] = "simulator"
    url: HttpsUrl | None = None
    secret_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_+=.@-]{1,200}$")] | None = None
    timeout_ms: Annotated[int, Field(ge=100, le=5_000)] = 5_000

    @model_validator(mode="after")
    def _http_needs_address_and_key(self) -> ProcessorSettings:
        if self.kind == "http" and (self.url is None or self.secret_name is None):
            raise ValueError("url and secret_name are required when kind is 'http'")
        if self.kind == "simulator" and (self.url is not None or self.secret_name is not None):
            raise ValueError("url and secret_name are allowed only when kind is 'http'")
        return self


class MerchantSettings(Section):
    """Who may act as a merchant: IAM principals, by ARN; the account's own administrators when none is given.

    A principal of another account should come with an external id (IAM User Guide, "The confused deputy problem").
    """

    principals: list[PrincipalArn] = Field(default_factory=list)
    external_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,128}$")] | None = None


MerchantId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,23}$")]


class NetworkSettings(Section):
    """A region's VPC beyond its CIDR block."""

    zones: Literal[3] = 3
    nat_gateway: bool = False


class FunctionSettings(Section):
    """How the Lambda functions run. PAY-03 gives the defaults."""

    runtime: Literal["python3.11", "python3.12", "python3.13"] = "python3.12"
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] = 3_072
    timeout_s: Annotated[int, Field(ge=1, le=900)] = 900
    reserved_concurrency: Concurrency = 2
    # What single functions reserve instead, by their names in functions/catalogue.py. Production takes the numbers
    # from the capacity model (PAY-21).
    reserved_concurrency_by_function: dict[str, Concurrency] = Field(default_factory=dict)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("reserved_concurrency_by_function")
    @classmethod
    def _functions_exist(cls, reserved: dict[str, int]) -> dict[str, int]:
        names = [spec.name for spec in EVERY_FUNCTION]
        for name, concurrency in reserved.items():
            if name not in names:
                raise ValueError(f"{name} = {concurrency} is of no function; allowed: {', '.join(sorted(names))}")
        return reserved

    def concurrency_of(self, function: str) -> int:
        """The concurrency that a function reserves."""
        return self.reserved_concurrency_by_function.get(function, self.reserved_concurrency)


class ResidencySettings(Section):
    """How long a region keeps the personal data of its payments, in days; the data never leaves it (PAY-22)."""

    vault_retention_days: Annotated[int, Field(ge=1, le=3_650)] = 365


class FailoverSettings(Section):
    """The order in which regions take over a payment that its own region cannot finish, and when they do so unasked.

    A region hands over to the one after it, the last to the first. The configuration's order of regions when empty.
    ``stale_after_s`` without a write, a payment is started anew in its region: no run of the workflow takes that long
    (`functions/workflow/payment.asl.json`). A region that has not shown itself for ``down_after_s`` is down for the
    others, which then finish its payments. Regions show themselves once a minute: with less than 90 s, one minute that
    is late would be taken for the end (docs/decisions/the-sweeper-finishes-what-is-left.md).
    """

    order: list[str] = Field(default_factory=list)
    stale_after_s: Annotated[int, Field(ge=250, le=3_600)] = 300
    down_after_s: Annotated[int, Field(ge=90, le=3_600)] = 180


class WorkflowSettings(Section):
    """The Step Functions type: STANDARD (exactly once, dear) or EXPRESS (at least once, thousands a second)."""

    type: Literal["STANDARD", "EXPRESS"] = "STANDARD"


_ROLE_ARN = r"^(arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+)?$"


class PipelineSettings(Section):
    """The CI workflow that `tripoint pipeline` writes (docs/pipelines.md).

    ``gates`` says before which waves somebody must agree, in the CI's ``environment`` (this one's name when empty).
    ``role_arn`` is assumed with the CI's identity token, for plans ``plan_role_arn`` if that is set; without them the
    runners bring their credentials. ``runner`` is GitHub's, ``image`` GitLab's: it needs `make`, Python and Terraform
    or OpenTofu.
    """

    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")] = "main"
    gates: Literal["none", "first", "every"] = "first"
    environment: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$")] = ""
    role_arn: Annotated[str, Field(max_length=600, pattern=_ROLE_ARN)] = ""
    plan_role_arn: Annotated[str, Field(max_length=600, pattern=_ROLE_ARN)] = ""
    python: Literal["3.11", "3.12", "3.13"] = "3.11"
    terraform: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] = "1.11.4"
    runner: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "ubuntu-24.04"
    image: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$")] = "python:3.11"
    timeout_minutes: Annotated[int, Field(ge=5, le=360)] = 90


class ApiSettings(Section):
    """Throttling of new payments, in requests per second and requests at once.

    Every other route gets ``reads_per_payment`` times as much: callers ask how a payment stands more often than they
    send one. An account may do 10,000 per second and 5,000 at once unless AWS has raised that (docs/capacity.md).
    """

    rate_limit: Annotated[int, Field(ge=1, le=100_000)] = 100
    burst_limit: Annotated[int, Field(ge=1, le=100_000)] = 200
    reads_per_payment: Annotated[int, Field(ge=1, le=20)] = 2


class EdgeSettings(Section):
    """How Route 53 watches a region, and whether a web ACL guards its API.

    ``waf_rate_limit`` is what one address may send in five minutes.
    """

    health_interval_s: Literal[10, 30] = 30
    health_failure_threshold: Annotated[int, Field(ge=1, le=10)] = 3
    waf: bool = False
    waf_rate_limit: Annotated[int, Field(ge=10, le=2_000_000_000)] = 2_000


class AlarmSettings(Section):
    """Thresholds of the alarms: each is raised above its value. `..._per_period` count per `period_s`.

    What must not happen at all is alarming at once (`datapoints_to_alarm` of `evaluation_periods`), what retries heal
    only when it lasts (`sustained_...`). More than one period, because metrics come late.
    """

    failure_rate_percent: Annotated[float, Field(gt=0, le=100)] = 0.1
    # Metrics of AWS's own come every minute.
    period_s: Literal[60, 300] = 60
    evaluation_periods: Annotated[int, Field(ge=1, le=60)] = 3
    datapoints_to_alarm: Annotated[int, Field(ge=1, le=60)] = 1
    sustained_periods: Annotated[int, Field(ge=1, le=60)] = 5
    sustained_datapoints: Annotated[int, Field(ge=1, le=60)] = 3
    api_5xx_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    api_latency_p99_ms: Annotated[int, Field(ge=1, le=29_000)] = 3_000
    function_error_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    function_throttles_per_period: Annotated[int, Field(ge=0)] = 0
    function_duration_p99_ms: Annotated[int, Field(ge=1, le=900_000)] = 10_000
    workflow_failed_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    workflow_throttles_per_period: Annotated[int, Field(ge=0)] = 0
    table_errors_per_period: Annotated[int, Field(ge=0)] = 0
    table_throttles_per_period: Annotated[int, Field(ge=0)] = 0
    table_replication_ms: Annotated[int, Field(ge=1)] = 10_000
    stream_age_ms: Annotated[int, Field(ge=1)] = 60_000
    # S3 replicates most objects within 15 minutes.
    receipts_replication_s: Annotated[int, Field(ge=1)] = 900
    dlq_messages: Annotated[int, Field(ge=0)] = 0
    # What the sweeper finds is minutes old by then; what it has not finished in three more rounds is for a human.
    open_payment_s: Annotated[int, Field(ge=60)] = 900
    resumed_payments_per_period: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _datapoints_fit(self) -> AlarmSettings:
        if self.datapoints_to_alarm > self.evaluation_periods:
            raise ValueError("datapoints_to_alarm must be at most evaluation_periods")
        if self.sustained_datapoints > self.sustained_periods:
            raise ValueError("sustained_datapoints must be at most sustained_periods")
        return self


class LogSettings(Section):
    retention_days: LogRetention = 30


class LifecycleSettings(Section):
    """When S3 deletes by itself, in days (OPT-09): versions that have been replaced, uploads that were abandoned, and
    access logs. Receipts themselves never."""

    noncurrent_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    incomplete_upload_days: Annotated[int, Field(ge=1, le=365)] = 7
    access_log_days: Annotated[int, Field(ge=1, le=3_650)] = 90


class RegionSettings(Capabilities):
    """One region: its address block and its complete settings, those of the capabilities among them."""

    primary: bool = False
    cidr: Cidr
    network: NetworkSettings = NetworkSettings()
    functions: FunctionSettings = FunctionSettings()
    workflow: WorkflowSettings = WorkflowSettings()
    api: ApiSettings = ApiSettings()
    edge: EdgeSettings = EdgeSettings()
    alarms: AlarmSettings = AlarmSettings()
    logs: LogSettings = LogSettings()
    residency: ResidencySettings = ResidencySettings()
    lifecycle: LifecycleSettings = LifecycleSettings()


class Environment(Section):
    """One environment, complete and checked."""

    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
    suffix: Annotated[str, Field(pattern=f"^{SUFFIX}$", max_length=MAX_SUFFIX)]
    project: ProjectSettings
    target: TargetSettings
    state: StateSettings = StateSettings()
    domain: DomainSettings
    protection: ProtectionSettings = ProtectionSettings()
    processor: ProcessorSettings = ProcessorSettings()
    failover: FailoverSettings = FailoverSettings()
    pipeline: PipelineSettings = PipelineSettings()
    # One IAM role each, of which an account has 1,000 by default (docs/decisions/callers-are-iam-roles.md).
    merchants: Annotated[dict[MerchantId, MerchantSettings], Field(max_length=5_000)] = Field(default_factory=dict)
    regions: Annotated[dict[str, RegionSettings], Field(min_length=1, max_length=32)]

    @model_validator(mode="before")
    @classmethod
    def _spread_regional_sections(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("regions"), dict):
            return data
        data = dict(data)
        common = {name: data.pop(name) for name in REGIONAL_SECTIONS if name in data}
        for name, section in common.items():
            if not isinstance(section, dict):
                raise ValueError(f"{name} must be a section, [{name}]")
        data["regions"] = {
            region: _override(common, settings) if isinstance(settings, dict) else settings
            for region, settings in data["regions"].items()
        }
        return data

    @field_validator("regions")
    @classmethod
    def _regions_exist(cls, regions: dict[str, RegionSettings], _: ValidationInfo) -> dict[str, RegionSettings]:
        for region in regions:
            if region not in known_regions():
                raise ValueError(f"{region!r} is not an AWS region; allowed: {', '.join(sorted(known_regions()))}")
        primaries = [region for region, settings in regions.items() if settings.primary]
        if len(primaries) != 1:
            found = " and ".join(primaries) if primaries else "none"
            raise ValueError(f"exactly one region must have primary = true; found {found}")
        for (region, settings), (other, others) in itertools.combinations(regions.items(), 2):
            if ipaddress.IPv4Network(settings.cidr).overlaps(ipaddress.IPv4Network(others.cidr)):
                raise ValueError(
                    f"{region} and {other} have cidr {settings.cidr} and {others.cidr}; blocks must not overlap"
                )
        return regions

    @model_validator(mode="after")
    def _capabilities_are_on_everywhere_or_nowhere(self) -> Environment:
        for name in CAPABILITIES:
            off = [region for region, settings in self.regions.items() if name not in settings.on]
            if off and len(off) < len(self.regions):
                raise ValueError(f"{name}.enabled must be the same in every region; it is false in {', '.join(off)}")
        return self

    @model_validator(mode="after")
    def _one_region_is_to_develop_in(self) -> Environment:
        """With one there is nobody to fail over to, and CloudFront has no second bucket."""
        if len(self.regions) == 1 and self.protection.production:
            raise ValueError(f"protection.production = true needs two regions or more; found {self.primary} alone")
        if len(self.regions) == 1 and "assets" in self.capabilities:
            raise ValueError(f"assets.enabled = true needs two regions or more; found {self.primary} alone")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Environment:
        for region, settings in self.regions.items():
            if {"web", "assets"} <= settings.on and settings.web.subdomain == settings.assets.subdomain:
                raise ValueError(
                    f"web.subdomain and assets.subdomain are both {settings.web.subdomain!r} in {region}; must differ"
                )
        return self

    @model_validator(mode="after")
    def _failover_order_has_every_region(self) -> Environment:
        order = self.failover.order
        if order and sorted(order) != sorted(self.regions):
            raise ValueError(f"failover.order {order} must name every region once; allowed: {', '.join(self.regions)}")
        return self

    @property
    def failover_order(self) -> tuple[str, ...]:
        """The regions in the order in which they take over from each other."""
        return tuple(self.failover.order or self.regions)

    @property
    def capabilities(self) -> frozenset[str]:
        """The optional capabilities that are switched on (`shared/capabilities`)."""
        return self.regions[self.primary].on

    @property
    def primary(self) -> str:
        """The region that owns the global tables."""
        return next(region for region, settings in self.regions.items() if settings.primary)

    @property
    def is_sandbox(self) -> bool:
        """True when the target is the local emulator. For providers and the engine; never for a construct."""
        return self.target.kind == "sandbox"


def _override(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _override(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def load(path: Path) -> Environment:
    """Read and check a configuration file.

    Raises
    ------
    ConfigError
        When the file is missing, is not TOML or breaks a rule; one line that names the field, its value and what is
        allowed.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file; see config/sandbox.toml for one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return parse(raw, source=str(path))


def parse(raw: dict[str, Any], *, source: str) -> Environment:
    """Check a configuration that is already a dictionary; ``source`` names it in errors."""
    try:
        return Environment.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_first_line(error, source)) from None


def _first_line(error: ValidationError, source: str) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"]) or "configuration"
    message = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "extra_forbidden":
            message = "is not a known key"
        case "missing":
            message = "is required"
        case "string_pattern_mismatch":
            message = f"must match {first['ctx']['pattern']}"
        case "string_too_long":
            message = f"must have at most {first['ctx']['max_length']} characters"
    value = first["input"]
    shown = "" if first["type"] == "missing" or isinstance(value, dict | BaseModel) else f" = {value!r}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{source}: {field}{shown}: {message[:1].lower() + message[1:]}{more}"
