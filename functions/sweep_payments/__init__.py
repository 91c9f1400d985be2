"""Finishing what was left open: in this region, on the way here, and in regions that are down."""
