"""Second step: reserve the money."""
