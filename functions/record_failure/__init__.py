"""Recording why a payment did not settle."""
