"""Kinesis Data Streams as a Faust broker.

`faust.App("id", broker="kinesis://")` finds `faust_kinesis.transport:Transport` by its entry point. The composition
root calls `faust_kinesis.transport.configure`, declares the topic with `faust_kinesis.agents.batch_topic`, and runs the
worker. Importing the package builds nothing.
"""

#: The public modules.
__all__ = ["agents", "options", "records", "transport"]
