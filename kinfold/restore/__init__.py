"""``kinfold restore``: after the events table was restored, everything derived is brought in line with it."""
