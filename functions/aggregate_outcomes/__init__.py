"""Summing up the payment metrics of all regions."""
