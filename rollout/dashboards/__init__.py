"""Draws the deployed dashboards with live numbers, into HTML pages that need nothing else.

`reading.py` asks CloudWatch, `charts.py` draws, `page.py` writes; :func:`render` puts them together.
"""

from rollout.dashboards.render import DashboardMissingError, render

__all__ = ["DashboardMissingError", "render"]
