"""The console: what an operator sees of a ledger in a browser, and does.

It looks by the functions that the commands look by, and acts by running the commands. Nothing in it is public.
"""

__all__: list[str] = []
