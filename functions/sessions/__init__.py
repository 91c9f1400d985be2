"""Sessions: short-lived state that every region can read, in the global sessions table."""
