"""The embedded AWS with a state that outlives it: MiniStack, run by ``python -m kinfold.local.kept.kept_aws FILE``.

MiniStack itself saves only when it is stopped in order, one service after the other, without the records of the tables'
streams, and starts empty where it cannot read what it saved. Here the state is one file, replaced whole. It is read
before anything is served, or nothing is served; it is written every ten seconds and at the end, as of one moment
between two requests. So tables, their streams, the Kinesis stream, leases and checkpoints always fit together.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from ministack import app as ministack
from ministack.core.persistence import _json_default, _json_object_hook
from ministack.services import dynamodb, kinesis

from kinfold.local.kept.data_dir import UNSAVED

_FORMAT: Final = 1
#: Seconds between two saves at least; a save takes a tenth of the time at most.
INTERVAL: Final = 10.0
_SHARE: Final = 10
_SERVICES: Final = {"dynamodb": dynamodb, "kinesis": kinesis}
#: What MiniStack's own persistence leaves out: the records of the tables' streams, which the relay and the watch read.
_STREAMS: Final = ("_stream_records", "_stream_trimmed", "_closed_streams")


class StateFile:
    """The state of the services that keep events, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def restore(self) -> None:
        """Take up the state of the last time, if there is one. Exits the process where it cannot be read."""
        if not self._file.exists():
            return
        try:
            with self._file.open() as file:
                found = json.load(file, object_hook=_json_object_hook)
            _check_format(found["format"])
            for name, service in _SERVICES.items():
                service.load_persisted_state(found["services"][name])
            for name in _STREAMS:
                getattr(dynamodb, name).update(found["streams"][name])
        except (OSError, ValueError, KeyError, TypeError) as error:
            sys.exit(f"{self._file} cannot be read, and is left as it is: {error!r}; move it away to begin anew")

    def save(self) -> None:
        """Replace the file by the state of now. Raises OSError."""
        services = {name: service.get_state() for name, service in _SERVICES.items()}
        # Iterators live for minutes.
        services["kinesis"].pop("shard_iterators", None)
        state: dict[str, Any] = {
            "format": _FORMAT,
            "services": services,
            "streams": {name: getattr(dynamodb, name) for name in _STREAMS},
        }
        descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}-")
        try:
            with open(descriptor, "w") as file:
                json.dump(state, file, default=_json_default)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _check_format(found: int) -> None:
    if found != _FORMAT:
        raise ValueError(f"it has format {found}, and this version reads {_FORMAT}")


async def keep_saving(state: StateFile, interval: float = INTERVAL) -> None:
    """Save for ever, in a copy of the process: requests wait for the copying, and not for the writing.

    Handlers run on the event loop from their beginning to their end, so none is half-way at the copy. A save that fails
    says so in the log, and the next one is tried.
    """
    pause = interval
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        copy = os.fork()
        if copy == 0:
            _save_and_exit(state)
        # A thread waits, also when the loop ends: so the last save comes after this one.
        await asyncio.to_thread(os.waitpid, copy, 0)
        pause = max(interval, _SHARE * (time.monotonic() - began))


def _save_and_exit(state: StateFile) -> None:
    code = 1
    try:
        state.save()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the copy ends here, and whoever reads the log is told why
        print(f"{UNSAVED}{error!r}", file=sys.stderr, flush=True)  # noqa: T201
    finally:
        os._exit(code)


def _main() -> None:
    state = StateFile(Path(sys.argv[1]))
    sys.argv[1:] = []
    state.restore()
    serve, tasks = ministack.app, []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            tasks.append(asyncio.create_task(keep_saving(state)))
        await serve(scope, receive, send)

    ministack.app = app
    ministack.main()
    state.save()


if __name__ == "__main__":
    _main()
