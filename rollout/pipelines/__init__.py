"""CI workflows that are written from the graph: `tripoint pipeline github|gitlab` (docs/pipelines.md)."""
