"""DynamoDB, DynamoDB Streams and Kinesis in memory, answering boto3 inside the process that asks."""
