"""Options, exit codes and refusals that the operator's commands share."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, NoReturn

import typer

from projector.projection import Projection

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, one object a line.")]
ProjectionNames = Annotated[
    list[str] | None,
    typer.Option(
        "--projection", metavar="NAME", show_default=False, help="Only this one; repeatable. All unless given."
    ),
]
Segments = Annotated[int, typer.Option(min=1, max=64, help="Parallel readers of the events table.")]

ReadProcesses = Annotated[
    int, typer.Option("--processes", min=1, max=64, help="Processes that share the segments; one a core.")
]
ReadUnits = Annotated[
    float | None,
    typer.Option(
        min=1, max=1_000_000, show_default=False, help="Read units a second that the events table is asked for at most."
    ),
]

#: The end of the help of a command that only looks.
LOOKS = (
    "Exit codes: 0 done, 1 what is named is not there, 2 bad settings or arguments, 75 the endpoint does not answer."
)

# Exit codes of the operator's commands beside 0, 1, 2 and 75.

#: Aggregates are wrong; the stream is about to lose, or has lost, unread events; a destination does not work.
WRONG: Final = 4
#: Nothing is wrong, but something waits: aggregates are behind, missing or halted, or a shard has no reader.
WAITING: Final = 5
#: Not done, because another rebuild is running or a worker holds leases.
BUSY: Final = 6


def chosen(names: list[str] | None, projections: Iterable[Projection[Any]]) -> list[Projection[Any]]:
    """Those of the projections that have these names, or all. Raises BadParameter for an unknown name."""
    known = {projection.name: projection for projection in projections}
    for name in names or []:
        if name not in known:
            raise typer.BadParameter(f"there is no projection {name}; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def refuse(error: Exception, code: int) -> NoReturn:
    """End the command with the error's message and this exit code."""
    from ledger.runtime.cli_output import tell_failure

    tell_failure(str(error), code)
    raise typer.Exit(code)
