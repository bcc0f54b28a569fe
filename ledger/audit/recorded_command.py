"""A command that is recorded: its words and what it was given are read from the command line's own context."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer
from pydantic.alias_generators import to_camel

from ledger.audit.audit_log import AuditLog
from ledger.runtime.cli_input import operator_name

#: Parameters that say how to print, not what to do.
_PRINTING: Final = frozenset({"as_json"})


@contextmanager
def recorded(audit: AuditLog, context: typer.Context, by: str | None = None) -> Iterator[dict[str, Any]]:
    """Record the block as the action of the command in ``context``, done by ``by`` or whoever runs it.

    What the block puts into the dictionary becomes the record's details. Raises as ``AuditLog.recording`` does.
    """
    # Without the program's own name, whatever it was called by.
    words = context.command_path.split()[1:] or [str(context.info_name)]
    given = {
        to_camel(name): value
        for name, value in context.params.items()
        if name not in _PRINTING and str(context.get_parameter_source(name)).rpartition(".")[2] != "DEFAULT"
    }
    with audit.recording(" ".join(words), given, by=by or operator_name()) as details:
        yield details
