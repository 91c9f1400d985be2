"""The HTTP API: accept a payment, tell how it stands, tell whether this region is well."""
