"""Keeps `docs/capacity.md` and the production configuration to the capacity model.

python -m rollout.capacity                  writes docs/capacity.md
python -m rollout.capacity --check          exit code 1 when it is stale, or the configuration is not the model's
python -m rollout.capacity --concurrency    prints the sections for config/example-production.toml
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rollout.capacity import facts, measured
from rollout.capacity.model import plan
from rollout.capacity.plan import CapacityPlan
from rollout.capacity.report import markdown
from rollout.workspace import project_root
from shared.config import Environment, load

CONFIG = "config/example-production.toml"
PAGE = "docs/capacity.md"
TPS = 10_000
"""What PAY-21 asks for."""


def production(root: Path) -> tuple[Environment, CapacityPlan]:
    """The example of a production configuration, and what the model says of it."""
    environment = load(root / CONFIG)
    return environment, plan(environment, TPS, facts.load(), measured.load())


def differences(environment: Environment, wanted: CapacityPlan) -> list[str]:
    """Where a configuration is not what the model says, one line each."""
    found = []
    for region, settings in environment.regions.items():
        for function, concurrency in wanted.reserved(region).items():
            configured = settings.functions.concurrency_of(function)
            if configured != concurrency:
                found.append(f"{region}: {function} reserves {configured}; the model says {concurrency}")
        limit = wanted.api_rate_limit[region]
        if settings.api.rate_limit != limit:
            found.append(f"{region}: api.rate_limit is {settings.api.rate_limit}; the model says {limit}")
    return found


def sections(wanted: CapacityPlan) -> str:
    """The sections of a configuration that the model decides, in TOML; common ones where all regions agree."""
    regions = wanted.regions
    same = all(
        wanted.reserved(region) == wanted.reserved(regions[0])
        and wanted.api_rate_limit[region] == wanted.api_rate_limit[regions[0]]
        for region in regions
    )
    prefixes = [("", regions[0])] if same else [(f"regions.{region}.", region) for region in regions]
    lines = []
    for prefix, region in prefixes:
        lines += [f"[{prefix}functions.reserved_concurrency_by_function]"]
        lines += [f"{function} = {count}" for function, count in wanted.reserved(region).items()]
        lines += ["", f"[{prefix}api]", f"rate_limit = {wanted.api_rate_limit[region]}", ""]
    return "\n".join(lines)


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m rollout.capacity", description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--check", action="store_true")
    chosen.add_argument("--concurrency", action="store_true")
    asked = parser.parse_args()
    root = project_root()
    environment, wanted = production(root)
    if asked.concurrency:
        sys.stdout.write(sections(wanted))
        return 0
    page, text = root / PAGE, markdown(wanted, facts.load())
    if not asked.check:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{page}\n")
        return 0
    complaints = [f"{CONFIG}: {line}" for line in differences(environment, wanted)]
    if not page.is_file() or page.read_text(encoding="utf-8") != text:
        complaints.append(f"{PAGE} is stale: run python -m rollout.capacity")
    sys.stdout.write("".join(f"{line}\n" for line in complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    raise SystemExit(main())
