"""Options that several of the operator's commands take."""

from typing import Annotated, Any

import typer

from projector.projection import Projection
from projector.projections import PROJECTIONS

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, one object a line.")]
ProjectionNames = Annotated[
    list[str] | None,
    typer.Option(
        "--projection", metavar="NAME", show_default=False, help="Only this one; repeatable. All unless given."
    ),
]
Segments = Annotated[int, typer.Option(min=1, max=64, help="Parallel readers of the events table.")]


def chosen(names: list[str] | None) -> list[Projection[Any]]:
    """The projections of these names, or all. Raises BadParameter for a name that none has."""
    known = {projection.name: projection for projection in PROJECTIONS}
    for name in names or []:
        if name not in known:
            raise typer.BadParameter(f"there is no projection {name}; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]
