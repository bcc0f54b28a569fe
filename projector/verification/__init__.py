"""Rows compared with the event store, and repaired."""
