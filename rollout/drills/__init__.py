"""Failure drills at load: break the deployed platform on purpose, then reconcile.

`scenarios` says what is done, `drill` does it (`load`: Locust in a process of its own; `faults`: what the sandbox is
asked to break; `ledger`: how the payments stand), `figures` works out what happened, `page` writes it down. Faults
exist in the sandbox only.
"""
