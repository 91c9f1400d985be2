"""Writes into a synthesized app's manifest which stack needs which: `python -m rollout.benchmarks.manifest`.

Layers read each other's remote state, which the cdktf CLI does not see; without this it would deploy all at once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from shared.config import load
from stacks.catalogue import graph_of

# Comma-separated: what is deployed now. The CLI refuses to deploy a stack without what its manifest says it needs, and
# keeps no order at all when told to ignore that.
DEPLOYED = "TRIPOINT_BENCH_DEPLOYED"


def main() -> None:
    """The command, run by the CLI after the synthesis, with the variables of the synthesis."""
    path = Path(os.environ["CDKTF_OUTDIR"]) / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    needs = graph_of(load(Path(os.environ["TRIPOINT_CONFIG"]))).needs
    deployed = os.environ[DEPLOYED].split(",")
    for stack, below in needs.items():
        manifest["stacks"][str(stack)]["dependencies"] = [str(need) for need in below if str(need) in deployed]
    path.write_text(json.dumps(manifest, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
