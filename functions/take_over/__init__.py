"""Taking over a payment that another region could not finish."""
