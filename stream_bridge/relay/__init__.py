"""The daemon that copies the table's stream to Kinesis, each aggregate in order."""
