"""What to do about errors that Terraform reports and does not explain."""

from __future__ import annotations

import re

from rollout.terraform import TerraformError

_KNOWN: tuple[tuple[str, str], ...] = (
    (
        r"acted as a source region for new replica",
        "AWS keeps a table for 24 hours after it was used to add a replica; the same command after that goes on here: "
        "what is gone stays gone",
    ),
    (
        r"AlreadyExist|AlreadyOwnedByYou|already exists",
        "it is there and in no state: somebody else made it, or a run that was killed on another machine; delete it, "
        "or take it over with: terraform import",
    ),
    (r"DependencyViolation|resource .* has a dependent object", "something that is not in the states still uses it"),
)


def advice(error: TerraformError) -> list[str]:
    """What a person may do about an error: a line each, or nothing where Terraform's own words are enough."""
    text = "\n".join(error.lines)
    found = [line for pattern, line in _KNOWN if re.search(pattern, text)]
    if error.cut_off:
        found.append("what it was making may be there and not recorded; the next deploy or diff --out looks for it")
    return found
