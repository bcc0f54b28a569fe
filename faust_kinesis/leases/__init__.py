"""Who reads which shard and how far: the lease table in KCL's format, the plan, the checkpoints."""
