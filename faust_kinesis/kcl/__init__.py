"""Amazon's KCL as the source: its daemon, the processes between, one session a shard."""
