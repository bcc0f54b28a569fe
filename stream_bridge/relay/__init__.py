"""The daemon that carries the table's stream to Kinesis, each account in order."""
