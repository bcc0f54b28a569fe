"""The bridge: takes the change records of the events table to the Kinesis stream.

Builds on ``ledger``, and on ``faust_kinesis`` for reading and writing streams. Nothing in it is public.
"""

__all__: list[str] = []
