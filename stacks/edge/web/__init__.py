"""The web tier's edge: the load balancer, and the name that leads to it (OPT-02)."""
