"""From a configuration to Terraform JSON, in this process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.build import build_all
from shared.config import Environment
from shared.contracts import ContractError, MissingOutputError, StackId
from shared.errors import UsageError
from shared.provider import import_cdktf
from shared.site import Site
from shared.tags import pipeline_tags
from stacks.catalogue import graph_of, spec_of


def synthesize(environment: Environment, *, out: Path, functions: Path, only: Sequence[str] | None = None) -> list[str]:
    """Write ``<out>/stacks/<stack>/cdk.tf.json`` for the environment's stacks, all regions at once (PAY-01).

    Parameters
    ----------
    environment
        The configuration.
    out
        The output folder.
    functions
        Where the functions' zips are, or are built.
    only
        Stack names to synthesize; all when None.

    Returns
    -------
    list of str
        The stacks that were written, producers first.

    Raises
    ------
    UsageError
        When ``only`` names a stack that the environment does not have, or the pipeline a tag that AWS does not take.
    ContractError
        When the layers' contracts do not fit together.
    """
    request = Request.of(environment, functions, only)
    request.write(request.stacks, out)
    return [str(stack) for stack in request.stacks]


@dataclass(frozen=True)
class Request:
    """What is to be synthesized, checked as far as that goes without Node.js.

    Attributes
    ----------
    stacks
        Producers first.
    zips
        Function name -> its built zip.
    tags
        Those of the pipeline.
    """

    environment: Environment
    stacks: Sequence[StackId]
    zips: Mapping[str, Path]
    tags: Mapping[str, str]

    @classmethod
    def of(cls, environment: Environment, functions: Path, only: Sequence[str] | None) -> Request:
        """The request for these stacks; raises as :func:`synthesize` does."""
        order = graph_of(environment).order
        known = {str(stack): stack for stack in order}
        unknown = [name for name in only or [] if name not in known]
        if unknown:
            raise UsageError(f"stack {unknown[0]!r} does not exist; allowed: {', '.join(known)}")
        stacks = [stack for stack in order if only is None or str(stack) in only]
        tags = pipeline_tags(os.environ)
        zips = {name: built.path for name, built in build_all(functions).items()}
        return cls(environment, stacks, zips, tags)

    def write(self, stacks: Sequence[StackId], out: Path) -> None:
        """Write these of its stacks; the first of all that starts Node.js."""
        import_cdktf()
        from cdktf import App

        from shared.stack import BuildInputs

        app = App(outdir=str(out))
        inputs = BuildInputs(zips=self.zips, tags=self.tags)
        for stack in stacks:
            spec = spec_of(stack.name)
            try:
                spec.load()(app, Site(self.environment, stack.region), inputs).check_published()
            except MissingOutputError as error:
                owner = spec_of(error.stack).owner
                raise ContractError(
                    f"{stack} (owner {spec.owner}) reads output {error.output}, which stack {error.stack!r} "
                    f"(owner {owner}) does not promise"
                ) from error
        app.synth()
