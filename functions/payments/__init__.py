"""What every function carries: the domain of a payment, its errors, and the adapters to AWS."""
