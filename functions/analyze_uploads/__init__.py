"""Summing up the summaries of uploads; it only reads."""
