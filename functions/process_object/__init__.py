"""Working on what merchants upload: a settlement file becomes a summary."""

API_BASE_PATH = "v1"
"""As in `payments_api`, which shares the API and is not in this function's zip."""
