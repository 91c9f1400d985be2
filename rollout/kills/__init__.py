"""The drill that kills: the engine, Terraform or the provider, at random moments, and then the same command again.

What counts is the end: after a deployment the same resources in AWS, the same addresses in the states, nothing locked
and nothing left to change, as after a run that nobody disturbed; after a destroy, nothing at all.
"""
