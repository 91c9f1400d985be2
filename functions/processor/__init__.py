"""The card processor: one interface, a deterministic simulator and an HTTP adapter behind it."""
