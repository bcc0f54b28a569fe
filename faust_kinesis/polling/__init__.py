"""The source in Python alone: GetRecords in a loop for each shard whose lease this worker holds."""
