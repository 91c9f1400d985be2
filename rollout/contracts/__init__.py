"""`stacks/contracts.lock`: what the layers promise each other, as it was when last agreed on (LAY-08).

The contracts in the code say what holds now. The lock says what the last release promised and who read it, so that a
layer which takes something away is told whom that breaks before anything is deployed.
"""
