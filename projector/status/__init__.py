"""How far the projector is, and what waits."""
