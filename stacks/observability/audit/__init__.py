"""The audit trail, and how it is read: who did what, in every region (OPT-04).

One trail records all regions, so everything here is in the primary region
(docs/decisions/audit-in-one-place.md).
"""
