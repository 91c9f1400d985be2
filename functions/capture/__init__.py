"""Third step: take the reserved money."""
