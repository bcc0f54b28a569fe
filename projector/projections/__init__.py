"""One file a projection: its fold and its row."""
