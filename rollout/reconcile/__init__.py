"""Whether the platform kept its promise: every accepted payment one final state, one charge, one receipt, one event.

`reading` gathers the evidence, from where it lies and nowhere else: the processor simulator's own record, and the
payments tables, receipts, event journals and vaults of all regions. What it means is decided without I/O: one module
for each kind of promise (`ledgers`, `money`, `receipts`, `events`, `residency`), put together in `verdict`.
"""
