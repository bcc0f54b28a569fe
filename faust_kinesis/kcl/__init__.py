"""The source on Amazon's KCL: its daemon, the processes between, one session a shard."""
