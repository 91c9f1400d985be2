"""Change data capture: changes of the ledger become payment events."""
