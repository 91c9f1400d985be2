"""The version of this package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    try:
        return version("tripoint")
    except PackageNotFoundError:
        return "not installed"
