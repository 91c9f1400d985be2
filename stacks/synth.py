"""From a configuration to Terraform JSON, in this process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from functions.build import build_all
from shared.config import Environment
from shared.contracts import ContractError
from shared.errors import UsageError
from shared.node import use_supported_node
from shared.provider import import_provider_lazily
from shared.site import Site
from stacks.catalogue import graph_of, spec_of

# OPT-10: tags that a pipeline provides.
PIPELINE_TAGS = {"TRIPOINT_REPOSITORY": "Repository", "TRIPOINT_COMMIT_AUTHOR": "CommitAuthor"}


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
        When ``only`` names a stack that the environment does not have.
    ContractError
        When the layers' contracts do not fit together.
    """
    order = graph_of(environment).order
    known = {str(stack): stack for stack in order}
    unknown = [name for name in only or [] if name not in known]
    if unknown:
        raise UsageError(f"stack {unknown[0]!r} does not exist; allowed: {', '.join(known)}")
    chosen = [stack for stack in order if only is None or str(stack) in only]

    zips = {name: built.path for name, built in build_all(functions).items()}
    use_supported_node()
    import_provider_lazily()
    from cdktf import App

    from shared.stack import BuildInputs

    app = App(outdir=str(out))
    inputs = BuildInputs(zips=zips, tags=_pipeline_tags(os.environ))
    for stack_id in chosen:
        spec = spec_of(stack_id.name)
        stack = spec.load()(app, Site(environment, stack_id.region), inputs)
        if not stack.published:
            raise ContractError(f"{stack_id} does not publish its contract {spec.publishes.__name__}")
    app.synth()
    return [str(stack) for stack in chosen]


def _pipeline_tags(variables: Mapping[str, str]) -> dict[str, str]:
    return {tag: variables[name] for name, tag in PIPELINE_TAGS.items() if variables.get(name)}
