"""Tags that the pipeline provides (OPT-10)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.errors import UsageError

# Environment variable -> tag. They replace the configuration's own Owner and Project.
PIPELINE_TAGS = {
    "TRIPOINT_OWNER": "Owner",
    "TRIPOINT_PROJECT": "Project",
    "TRIPOINT_REPOSITORY": "Repository",
    "TRIPOINT_COMMIT_AUTHOR": "CommitAuthor",
}
# What every service takes (Tag Editor User Guide, "Tag naming limits and requirements").
TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}")


def pipeline_tags(variables: Mapping[str, str]) -> dict[str, str]:
    """The tags that a pipeline's environment provides; an empty variable provides none.

    Raises
    ------
    UsageError
        When a value is not one that AWS takes.
    """
    found = {}
    for name, tag in PIPELINE_TAGS.items():
        value = variables.get(name, "").strip()
        if value and not TAG_VALUE.fullmatch(value):
            raise UsageError(
                f"{name} = {value!r} cannot be the tag {tag}: at most 256 letters, digits, spaces and _ . : / = + - @"
            )
        if value:
            found[tag] = value
    return found
