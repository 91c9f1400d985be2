"""Last step: settle."""
