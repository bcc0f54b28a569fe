"""Leases and checkpoints: the lease table in KCL's format, which leases to take, the shards' topology."""
