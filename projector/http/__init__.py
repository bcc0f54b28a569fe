"""Queries, operations and health over HTTP."""
