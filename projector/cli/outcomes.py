"""Exit codes of the operator's commands beside 0, 1, 2 and 75, and how a refusal leaves."""

from typing import Final, NoReturn

import typer

#: Accounts are wrong; the stream is about to lose, or has lost, unread events; a destination does not work.
WRONG: Final = 4
#: Nothing is wrong, but something waits: accounts that are behind, missing or halted, shards that nobody reads.
WAITING: Final = 5
#: Not done, because somebody is at work: another rebuild, a worker with leases.
BUSY: Final = 6


def refuse(error: Exception, code: int) -> NoReturn:
    """End the command with the error's message and this exit code."""
    typer.secho(f"kinfold: {error}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)
