"""First step of the workflow: refuse what no request could have asked for."""
