"""Stream, destination, shards: makes them or changes them, and ends."""
