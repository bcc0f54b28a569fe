"""Quick ways through botocore, by its own events: each gives what it would give, and leaves to it what is not plain."""
