"""The daemon that copies the table's stream to Kinesis, each account in order."""
