"""Options that the bridge's commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on; default KINFOLD_BRIDGE_HOST.")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; default KINFOLD_BRIDGE_PORT.")
]
