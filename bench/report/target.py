"""One line of what was to be reached."""

from typing import NamedTuple


class Target(NamedTuple):
    """What is wanted, what was measured, and whether that is enough."""

    text: str
    measured: str
    reached: bool
