"""What a domain refuses: commands that break one of its rules."""

from typing import ClassVar

from ledger.errors import PermanentError


class RefusedError(PermanentError):
    """A command broke a rule of the domain: nothing was stored. The message gives the figures.

    Each rule has a class of its own, and ``rule``, its stable name: the type of the problem that a client is answered
    with (status 422). ``example`` is a message for the documentation.
    """

    rule: ClassVar[str] = "refused"
    example: ClassVar[str] = ""
