"""A site is one environment in one region: it names (PAY-15), tags (PAY-14) and addresses what is deployed there.

Regional names carry no region, so the same thing has the same name in every region and a dashboard in one region can
point at the others. Names in a global namespace (IAM, S3) carry the region, and buckets the account as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Environment, RegionSettings
from shared.errors import TripointError

PARTITION = "aws"
MAX_BUCKET_NAME = 63
MAX_ROLE_NAME = 64


class NameTooLongError(TripointError):
    """A name would exceed the service's limit."""


@dataclass(frozen=True)
class Site:
    """One environment in one region."""

    environment: Environment
    region: str

    @property
    def settings(self) -> RegionSettings:
        """The region's complete settings."""
        return self.environment.regions[self.region]

    @property
    def account_id(self) -> str:
        return self.environment.target.account_id

    @property
    def is_primary(self) -> bool:
        return self.region == self.environment.primary

    @property
    def other_regions(self) -> tuple[str, ...]:
        """The environment's regions but this one, in the order of the configuration."""
        return tuple(region for region in self.environment.regions if region != self.region)

    @property
    def production(self) -> bool:
        """True when what holds data must survive a destroy."""
        return self.environment.protection.production

    def at(self, region: str) -> Site:
        """The same environment in another of its regions."""
        return Site(self.environment, region)

    def name(self, thing: str) -> str:
        """The name of a regional thing: ``tripoint-payments-prod``."""
        return f"{self.environment.project.name}-{thing}-{self.environment.suffix}"

    def role_name(self, thing: str) -> str:
        """The name of an IAM role or policy; IAM is global, so it carries the region."""
        return _limited(self.name(f"{thing}-{self.region}"), MAX_ROLE_NAME)

    def merchant_role_name(self, merchant: str) -> str:
        """The name of a merchant's role: one for all regions, and the only thing that tells the API who calls."""
        return _limited(self.name(f"merchant-{merchant}"), MAX_ROLE_NAME)

    def bucket_name(self, thing: str) -> str:
        """The name of an S3 bucket; buckets share one namespace over all accounts and regions."""
        return _limited(self.name(f"{thing}-{self.account_id}-{self.region}"), MAX_BUCKET_NAME)

    def bucket_arn(self, thing: str) -> str:
        """The ARN of a bucket of this site, for policies that are written before or beside the bucket."""
        return f"arn:{PARTITION}:s3:::{self.bucket_name(thing)}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region that no Terraform attribute gives."""
        return f"arn:{PARTITION}:{service}:{self.region}:{self.account_id}:{resource}"

    @property
    def metrics_namespace(self) -> str:
        """The CloudWatch namespace of the payment metrics."""
        return f"{self.environment.project.name}/{self.environment.suffix}"

    def execute_api_url(self, api_id: str, stage: str) -> str:
        """Where a REST API answers without its custom domain; the emulator serves it below its own endpoint."""
        endpoint = self.environment.target.endpoint
        if endpoint is not None:
            return f"{endpoint}/restapis/{api_id}/{stage}/_user_request_"
        return f"https://{api_id}.execute-api.{self.region}.amazonaws.com/{stage}"

    @property
    def state_bucket(self) -> str:
        """The bucket with the Terraform state of this region's stacks."""
        prefix = self.environment.state.bucket_prefix
        name = f"{prefix}-{self.account_id}-{self.region}-{self.environment.suffix}"
        return _limited(name, MAX_BUCKET_NAME)

    def tags(self, layer: str) -> dict[str, str]:
        """The tags that every taggable resource of a layer carries (PAY-14)."""
        project = self.environment.project
        return {
            "Environment": self.environment.environment,
            "Region": self.region,
            "CostCenter": project.cost_center,
            "Owner": project.owner,
            "Project": project.name,
            "ManagedBy": "cdktf",
            "Layer": layer,
        }


def state_key(stack: str) -> str:
    """The key of a stack's state in its region's state bucket."""
    return f"{stack}/terraform.tfstate"


def _limited(name: str, limit: int) -> str:
    if len(name) > limit:
        raise NameTooLongError(f"name {name!r} has {len(name)} characters; at most {limit} are allowed")
    return name
