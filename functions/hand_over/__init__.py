"""Giving a payment that this region cannot finish to the next region."""
