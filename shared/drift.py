"""Attributes that the sandbox's emulator does not read back.

Terraform would show them as changed for ever. They are listed in the sandbox's configuration
(``target.unreadable_attributes``) and ignored there only; on AWS every attribute counts.
"""

from __future__ import annotations

import jsii
from cdktf import Aspects, IAspect, TerraformResource
from constructs import Construct, IConstruct

from shared.site import Site


@jsii.implements(IAspect)
class IgnoreUnreadable:
    """Adds ``lifecycle.ignore_changes`` for the attributes the target is known not to read back."""

    def __init__(self, attributes: dict[str, list[str]]) -> None:
        self._attributes = attributes

    @classmethod
    def attach(cls, scope: Construct, site: Site) -> None:
        attributes = site.environment.target.unreadable_attributes
        if attributes:
            Aspects.of(scope).add(cls(attributes))

    def visit(self, node: IConstruct) -> None:
        if not isinstance(node, TerraformResource):
            return
        unreadable = self._attributes.get(node.terraform_resource_type)
        if unreadable:
            already = node.lifecycle.ignore_changes if node.lifecycle else None
            node.add_override("lifecycle.ignore_changes", [*(already or []), *unreadable])
