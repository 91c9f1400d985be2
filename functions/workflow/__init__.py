"""The payment workflow in the Amazon States Language, and filling in its `${names}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from functions.catalogue import WORKFLOW_FUNCTIONS

DEFINITION = Path(__file__).with_name("payment.asl.json")

SUBSTITUTIONS: tuple[str, ...] = (
    "partition",
    *(f"{name}_arn" for name in WORKFLOW_FUNCTIONS),
)
"""What `render` needs: the AWS partition (`aws`, `aws-cn`, ...) and each step's function ARN."""

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class SubstitutionError(ValueError):
    """A substitution is missing, or one is given that the definition does not use."""


def render(substitutions: Mapping[str, str]) -> str:
    """The definition with every `${name}` replaced; values may be Terraform references.

    Raises
    ------
    SubstitutionError
        Naming what is missing and what is unused.
    """
    template = DEFINITION.read_text(encoding="utf-8")
    used = set(_PLACEHOLDER.findall(template))
    complaints = [
        f"{what}: {', '.join(sorted(names))}"
        for what, names in (
            ("missing", used - set(substitutions)),
            ("unused", set(substitutions) - used),
        )
        if names
    ]
    if complaints:
        raise SubstitutionError(f"workflow substitutions: {'; '.join(complaints)}")
    return _PLACEHOLDER.sub(lambda match: substitutions[match.group(1)], template)
