"""Kinesis and DynamoDB Streams: shards of records."""
