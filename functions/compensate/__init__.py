"""Undoing: void or refund, whichever is right."""
