"""The bridge: it carries the change records of the events table to the Kinesis stream. Builds on ``ledger`` alone."""
