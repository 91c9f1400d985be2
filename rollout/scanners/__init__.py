"""Referees of the synthesized stacks: checkov over the resources, parliament over the policy documents."""
