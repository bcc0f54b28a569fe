"""Sending: PutRecords in order per partition key, from a bounded queue."""
