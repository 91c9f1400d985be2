"""The capacity model: what a number of transactions per second needs of AWS, and what it costs (PAY-21)."""
