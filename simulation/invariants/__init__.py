"""What must hold at every step, computed from the in-memory tables by plain code of its own."""
