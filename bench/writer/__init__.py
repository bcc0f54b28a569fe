"""The writer beside a peer, on an AWS in memory that counts what it is asked for."""
