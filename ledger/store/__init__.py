"""What is stored and how: events, snapshots, idempotency keys, and the change records of the table."""
