"""Failures of S3 replication become alerts."""
