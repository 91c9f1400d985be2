"""Keeping the web tier's target group as its Auto Scaling group is."""
