"""The base of every stack: provider, backend, tags, and the two verbs by which layers meet (LAY-02)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from cdktf import DataTerraformRemoteStateS3, S3Backend, TerraformOutput, TerraformProvider, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from constructs import Construct

from shared.contracts import ContractError, Outputs, StackId, StackSpec, needed_stacks
from shared.site import Site, state_key

Contract = TypeVar("Contract", bound=Outputs)


@dataclass(frozen=True)
class BuildInputs:
    """What a synthesis brings along besides the configuration.

    Attributes
    ----------
    zips
        Function name -> its built zip.
    tags
        Tags that the pipeline provides (OPT-10).
    """

    zips: Mapping[str, Path] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class LayerStack(TerraformStack):
    """One layer in one region.

    A subclass names its :class:`StackSpec`, builds its constructs, reads other layers with :meth:`consume` and writes
    each of its contracts with :meth:`publish`. Reading what the spec does not declare is refused, so the graph cannot
    lie.
    """

    spec: ClassVar[StackSpec]

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        self.stack_id = StackId(self.spec.name, site.region)
        super().__init__(scope, str(self.stack_id))
        self.site = site
        self.inputs = inputs
        self._published: set[type[Outputs]] = set()
        self._make_provider("aws", site)
        backend = S3Backend(
            self,
            bucket=site.state_bucket,
            key=state_key(str(self.stack_id)),
            region=site.region,
            encrypt=True,
            **_state_connection(site),
        )
        # cdktf 0.21 has no argument for Terraform's native S3 lock file.
        backend.add_override("use_lockfile", True)

    def provider_of(self, region: str) -> TerraformProvider | None:
        """The provider for what AWS takes in one region only, such as CloudFront's certificates in us-east-1.

        None is the stack's own: each provider is a process of its own, so the stack's region gets no second one.
        """
        if region == self.site.region:
            return None
        id = f"aws-{region}"
        found = self.node.try_find_child(id)
        if found is None:
            return self._make_provider(id, Site(self.site.environment, region), alias=region)
        assert isinstance(found, TerraformProvider)
        return found

    def _make_provider(self, id: str, site: Site, alias: str | None = None) -> TerraformProvider:
        provider: TerraformProvider = AwsProvider(
            self,
            id,
            alias=alias,
            region=site.region,
            allowed_account_ids=[site.account_id],
            default_tags=[AwsProviderDefaultTags(tags={**site.tags(self.spec.layer), **self.inputs.tags})],
            **_provider_connection(site),
        )
        return provider

    def consume(self, outputs: type[Contract], region: str | None = None) -> Contract:
        """Another stack's outputs, read from its remote state.

        Parameters
        ----------
        outputs
            The contract of the producer.
        region
            Whose; this stack's own region when left out.

        Raises
        ------
        ContractError
            When the stack's spec does not declare this need.
        """
        region = region or self.site.region
        self._check_declared(outputs, region)
        producer = StackId(outputs.stack, region)
        remote = self.node.try_find_child(f"from-{producer}")
        if remote is None:
            remote = DataTerraformRemoteStateS3(
                self,
                f"from-{producer}",
                bucket=self.site.at(region).state_bucket,
                key=state_key(str(producer)),
                region=region,
                **_state_connection(self.site),
            )
        assert isinstance(remote, DataTerraformRemoteStateS3)
        # What get_string's token stands for, without asking Node.js for every field: a seventh of all its messages.
        prefix = f"data.terraform_remote_state.{remote.friendly_unique_id}.outputs"
        return outputs(
            **{
                name: remote.get_list(name) if kind is list else f"${{{prefix}.{name}}}"
                for name, kind in outputs.fields().items()
            }
        )

    def publish(self, outputs: Outputs) -> None:
        """Write one of the stack's contracts into its state, one Terraform output per field."""
        if type(outputs) not in self._contracts:
            allowed = ", ".join(contract.__name__ for contract in self._contracts)
            raise ContractError(f"{self.stack_id} publishes {type(outputs).__name__}; allowed: {allowed}")
        for name in outputs.fields():
            output = TerraformOutput(self, f"output-{name}", value=getattr(outputs, name))
            output.override_logical_id(name)
        self._published.add(type(outputs))

    def check_published(self) -> None:
        """Refuse a stack that has not published all of its contracts.

        Raises
        ------
        ContractError
            Naming what is missing.
        """
        for contract in self._contracts:
            if contract not in self._published:
                raise ContractError(f"{self.stack_id} does not publish its contract {contract.__name__}")

    @property
    def _contracts(self) -> tuple[type[Outputs], ...]:
        return self.spec.contracts(self.site.environment.capabilities)

    def _check_declared(self, outputs: type[Outputs], region: str) -> None:
        environment = self.site.environment
        wanted = StackId(outputs.stack, region)
        for need in self.spec.needs:
            held = need.outputs is outputs and need.holds(environment.capabilities)
            if held and wanted in needed_stacks(
                self.spec, need, self.site.region, list(environment.regions), environment.primary
            ):
                return
        raise ContractError(f"{self.stack_id} reads {outputs.__name__} of {region} without declaring the need")


def _provider_connection(site: Site) -> dict[str, Any]:
    """How the provider reaches the target. The endpoint itself comes from AWS_ENDPOINT_URL; the fixed credentials keep
    a sandbox stack from ever acting on a real account."""
    if not site.environment.is_sandbox:
        return {}
    return {
        "access_key": "test",
        "secret_key": "test",
        "s3_use_path_style": True,
        "skip_credentials_validation": True,
        "skip_metadata_api_check": "true",
        "skip_requesting_account_id": False,
    }


def _state_connection(site: Site) -> dict[str, Any]:
    if not site.environment.is_sandbox:
        return {"allowed_account_ids": [site.account_id]}
    return {
        "access_key": "test",
        "secret_key": "test",
        "use_path_style": True,
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_requesting_account_id": True,
    }
