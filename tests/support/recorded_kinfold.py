"""``kinfold WORDS`` that notes what its calls of AWS need: ``python -m tests.support.recorded_kinfold FILE WORDS``.

The whole command, daemon or not, as it always is; only every ``ledger.runtime.aws.Clients`` it makes is listened to.
"""

import os
import sys
from typing import Any, Final

from kinfold.cli import main
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.aws.permissions import Need, note_calls

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


if __name__ == "__main__":
    _record(sys.argv.pop(1), Names(os.environ["KINFOLD_PROFILE"]))
    main()
