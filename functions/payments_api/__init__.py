"""The HTTP API: accept a payment, tell how it stands, tell whether this region is well."""

API_BASE_PATH = "v1"
"""The API's stage, and its base path behind the custom domain: the version of the contract."""

HEADERS = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer, whether the function gives it or API Gateway itself."""
