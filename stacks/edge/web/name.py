"""The web tier's name."""

from __future__ import annotations

from shared.site import Site


def web_name(site: Site) -> str:
    """The same in every region."""
    return f"{site.settings.web.subdomain}.{site.environment.domain.name}"
