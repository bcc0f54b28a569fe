"""The writer: commands come in over HTTP, events go into the event store."""
