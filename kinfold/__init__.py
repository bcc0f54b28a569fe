"""The front door: the ``kinfold`` command, the embedded AWS, and all services together.

The top floor: it may import every other package, and none of them imports it. Public are the commands and their JSON.
"""

#: The public modules.
__all__ = ["testing"]
