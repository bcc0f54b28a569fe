"""``kinfold WORDS`` that notes what its calls of AWS need: ``python -m tests.support.recorded_kinfold FILE WORDS``.

The whole command, daemon or not, as it always is; only every ``ledger.runtime.aws.Clients`` it makes is listened to.
Several commands, with ``AND`` between them, run one after the other, each in a process that need import nothing
anew; their exit codes are printed, and the end of each.
"""

import importlib
import os
import sys
from typing import Any, Final

from kinfold.cli import main
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.aws.permissions import Need, note_calls

AND: Final = "--and--"
EXIT: Final = "exit code "
_MADE: Final = Clients.__init__


def _record(path: str, names: Names) -> None:
    seen: set[Need] = set()

    def note(need: Need) -> None:
        if need not in seen:
            seen.add(need)
            # One write of one short line: threads, and a kill, leave lines whole.
            with open(path, "a") as file:
                file.write(f"{need[0]} {need[1]}\n")

    def made(clients: Clients, *arguments: Any, **options: Any) -> None:
        _MADE(clients, *arguments, **options)
        note_calls(clients, names, note)

    Clients.__init__ = made  # type: ignore[assignment, method-assign]


def _run_each(commands: list[list[str]]) -> None:
    for module in ("projector.cli", "stream_bridge.cli"):
        importlib.import_module(module)
    for words in commands:
        sys.stdout.flush()
        if not (pid := os.fork()):
            sys.argv[1:] = words
            sys.exit(main())
        sys.stdout.write(f"{EXIT}{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}: {' '.join(words)}\n")


if __name__ == "__main__":
    _record(sys.argv.pop(1), Names(os.environ["KINFOLD_PROFILE"]))
    commands = [part.split("\0") for part in "\0".join(sys.argv[1:]).split(f"\0{AND}\0")]
    if len(commands) > 1:
        _run_each(commands)
    else:
        main()
