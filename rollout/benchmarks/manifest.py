"""Writes into a synthesized app's manifest which stack needs which: `python -m rollout.benchmarks.manifest`.

Layers read each other's remote state, which the cdktf CLI does not see; without this it would deploy all at once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from shared.config import load
from stacks.catalogue import graph_of


def main() -> None:
    """The command, run by the CLI after the synthesis, with the variables of the synthesis."""
    path = Path(os.environ["CDKTF_OUTDIR"]) / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    needs = graph_of(load(Path(os.environ["TRIPOINT_CONFIG"]))).needs
    for stack, below in needs.items():
        if str(stack) in manifest["stacks"]:
            manifest["stacks"][str(stack)]["dependencies"] = [str(need) for need in below]
    path.write_text(json.dumps(manifest, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
