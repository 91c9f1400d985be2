"""The web tier's compute: the target group, and the instances that answer (OPT-02)."""
