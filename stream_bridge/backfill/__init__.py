"""Events put on the stream again: which ones, how fast, and how far it is."""
