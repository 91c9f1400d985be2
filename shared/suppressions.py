"""Checks of the scanner that do not apply, said beside the resource that they are about.

The reason goes into the resource's ``//`` property, which Terraform ignores ("//" in "JSON Configuration Syntax") and
where CDKTF keeps its own notes. Checkov itself takes suppressions from HCL comments only; `rollout/scanners` reads
these, counts them, and fails on one that nothing needs any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the scanners need the key only, and no Node.js for it
    from cdktf import TerraformElement

KEY = "suppressed"


def suppress(element: TerraformElement, check: str, reason: str) -> None:
    """Accept one check's finding on this resource or data source, such as ``CKV_AWS_18``, for a reason."""
    element.add_override(f"//.{KEY}.{check}", reason)
