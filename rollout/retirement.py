"""Stacks that are destroyed by their states alone.

Terraform destroys what is in a state and not in the configuration: a folder with a stack's backend and its region's
provider, and nothing else, is enough. Two kinds of stacks need that: stray ones, which are deployed and no longer
configured because a capability was switched off; and those whose configuration can't be read, because what they build
on was deployed without the outputs that it names (a rollout of something new failed half way).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rollout.selection import restrict
from rollout.workspace import STACK_FILE, Workspace
from shared.capabilities import CAPABILITIES
from shared.contracts import Graph, StackId, build_graph
from shared.site import state_key
from stacks.catalogue import STACKS


def order(strays: list[StackId], regions: list[str], primary: str) -> Graph:
    """The graph of a destroy over strays: consumers before producers, as far as the catalogue knows them."""
    known = restrict(build_graph(STACKS, regions, primary, CAPABILITIES), strays).reversed()
    unknown = {stray: () for stray in strays if stray not in known.needs}
    return Graph({**unknown, **known.needs})


def write_folder(workspace: Workspace, stack: StackId, model: StackId) -> Path:
    """Write the emptied folder of a stack, with backend and provider as the model has them: the stack itself, or for a
    stray one a synthesized stack of the same region."""
    synthesized: dict[str, Any] = json.loads((workspace.stack(model) / STACK_FILE).read_text(encoding="utf-8"))
    settings = synthesized["terraform"]
    settings["backend"]["s3"]["key"] = state_key(str(stack))
    folder = workspace.emptied(stack)
    folder.mkdir(parents=True, exist_ok=True)
    document = {"terraform": settings, "provider": synthesized["provider"]}
    (folder / STACK_FILE).write_text(json.dumps(document, indent=2), encoding="utf-8")
    return folder
