"""The master password: read while Terraform runs, never kept.

Aurora cannot manage it here: that is not supported for clusters of a global database (Aurora User Guide, "Limitations
for Secrets Manager integration with Amazon Aurora"). So it comes from an existing entry, through an ephemeral resource
into a write-only argument: neither has a place in a plan or a state (Terraform, "Ephemeral values in resources").
"""

from __future__ import annotations

from cdktf import TerraformStack

ENTRY = "aws_secretsmanager_secret_version.master_password"
# The first Terraform, and the first OpenTofu, that knows ephemeral resources and write-only arguments.
NEEDS_TERRAFORM = ">= 1.11"


def master_password(stack: TerraformStack, *, secret_name: str) -> str:
    """Have the stack read an entry of Secrets Manager; returns the expression for a write-only argument.

    The entry is the password alone, or a database credential as Secrets Manager keeps it: JSON with a ``password``.
    """
    # cdktf 0.21 has no ephemeral blocks.
    stack.add_override(f"ephemeral.{ENTRY}", {"secret_id": secret_name})
    stack.add_override("terraform.required_version", NEEDS_TERRAFORM)
    text = f"ephemeral.{ENTRY}.secret_string"
    return f'${{try(jsondecode({text})["password"], {text})}}'
