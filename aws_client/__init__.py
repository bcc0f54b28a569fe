"""Calling AWS: the classification of failures, retries, a call pool, batch reads, table shapes, fast parsing.

The lowest layer: it imports no other package of this project. Nothing in it is public.
"""

__all__: list[str] = []
