"""What a deployment would change: plans over many stacks, looked at, saved, and applied as they were reviewed."""
