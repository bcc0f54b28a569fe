"""The source in pure Python: GetRecords in a loop for each shard whose lease this worker holds."""
