"""Uploads: merchants' settlement files and the summaries that are made of them."""

INCOMING = "incoming/"
"""Where merchants put their files."""

PROCESSED = "processed/"
"""Where the summary of each lies: `incoming/<name>` has `processed/<name>.json`."""


def summary_key(key: str) -> str:
    """Where the summary of an upload lies."""
    return f"{PROCESSED}{key.removeprefix(INCOMING)}.json"
