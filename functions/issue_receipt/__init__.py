"""Fourth step: archive the receipt."""
