"""A reading whose segments are spread over processes, each with clients of its own.

Children get nothing but what can be pickled, and tell all that they do over a pipe: pages, findings, what fails. The
parent alone records progress. It ignores no child's end: one that is gone without a word is an error. A child ends by
itself when its parent is gone, and leaves Ctrl-C to it.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol

from ledger.errors import KinfoldError, PermanentError
from ledger.runtime.measuring.capacity import CapacityUnits, metered
from ledger.runtime.rate_limiter import RateLimiter, limit_reads
from ledger.store.parallel_scan import Cursor, RetryUntilStopped
from projector.components import Components
from projector.verification.history_reading import HistoryReader, PageDone, histories, read_histories

#: Seconds between two looks at who still reads, and for a child to end by itself.
_LOOK: Final = 0.2
_END: Final = 10.0

#: Opens a process's own components, by a function that can be pickled.
OpenComponents = Callable[[], AbstractContextManager[Components]]
#: Sends something to the parent: the kind, and whatever belongs to it.
Send = Callable[..., None]


class ProcessLostError(PermanentError):
    """A process of a reading is gone without a word: it was killed. What was recorded is kept."""


class ChildReader(HistoryReader, Protocol):
    """A reader in a child."""

    def settled(self) -> Mapping[str, int]:
        """Everything is read: what it has counted in all, once nothing waits any more."""


class MakeReaders(Protocol):
    """Makes a child's readers. Can be pickled."""

    def __call__(self, components: Components, stop: threading.Event, send: Send) -> Sequence[ChildReader]:
        """``send`` is to the parent; ``stop`` ends the readers' retries."""


@dataclass(frozen=True, slots=True)
class Processes:
    """How a reading is spread: over ``count`` processes that together take ``read_units`` a second at most.

    ``units`` gets what other processes consume; this one's is metered by whoever has made its clients.
    """

    count: int = 1
    read_units: float | None = None
    open_components: OpenComponents | None = None
    units: CapacityUnits | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    open_components: OpenComponents
    make_readers: MakeReaders
    cursors: Sequence[Cursor]
    segments: Sequence[int]
    read_units: float | None
    metered: bool


def read_in_processes(
    processes: Processes,
    make_readers: MakeReaders,
    cursors: Sequence[Cursor],
    working: Callable[[], Sequence[str]],
    done: PageDone,
    received: Callable[..., None],
) -> None:
    """Read every segment from its cursor, while there are readers ``working`` (by name), as ``read_histories`` does.

    ``received`` gets whatever else the children send: ``report`` with a line, and what their readers send.
    Raises ProcessLostError, or the first error of a child.
    """
    assert processes.open_components is not None
    context = multiprocessing.get_context("spawn")
    count = min(processes.count, len(cursors))
    share = processes.read_units / count if processes.read_units else None
    children: dict[Connection, Any] = {}
    dropped: set[str] = set()
    names = set(working())
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            segments = range(number, len(cursors), count)
            metered_too = processes.units is not None
            task = _Task(processes.open_components, make_readers, tuple(cursors), tuple(segments), share, metered_too)
            child = context.Process(target=_read, args=(task, theirs), name=f"reading-{number}", daemon=True)
            child.start()
            theirs.close()
            children[ours] = child
        while children:
            for name in names - dropped - set(working()):
                dropped.add(name)
                _send_all(children, "drop", name)
            for pipe in wait(list(children), _LOOK):
                assert isinstance(pipe, Connection)
                if not _receive(pipe, children[pipe], done, processes.units, received):
                    children.pop(pipe).join(_END)
    finally:
        _send_all(children, "stop")
        for pipe, child in children.items():
            pipe.close()
            child.join(_END)
            if child.is_alive():
                child.terminate()


def _send_all(children: Mapping[Connection, Any], *message: Any) -> None:
    for pipe in children:
        with suppress(OSError):
            pipe.send(message)


def _receive(
    pipe: Connection, child: Any, done: PageDone, units: CapacityUnits | None, received: Callable[..., None]
) -> bool:
    """Hear one message; False when it was the last."""
    try:
        kind, *what = pipe.recv()
    except (EOFError, OSError):
        child.join(_END)
        raise ProcessLostError(
            f"process {child.pid} of the reading is gone (exit code {child.exitcode}): run the command again"
        ) from None
    match kind:
        case "page":
            done(*what)
        case "units" if units is not None:
            units.add(*what)
        case "failed":
            raise recreated(*what)
        case "ended":
            return False
        case _:
            received(kind, *what)
    return True


def recreated(kind: type[Exception], message: str) -> Exception:
    """The error that a child has described; not all errors can be pickled."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


def described(error: Exception) -> tuple[type[Exception], str]:
    """What ``recreated`` needs."""
    return type(error), str(error)


def _read(task: _Task, pipe: Connection) -> None:
    """A child's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop, sending = threading.Event(), threading.Lock()
    dropped: set[str] = set()

    def send(*message: Any) -> None:
        with sending:
            pipe.send(message)

    def listen() -> None:
        with suppress(EOFError, OSError):
            while (told := pipe.recv())[0] == "drop":
                dropped.add(told[1])
        stop.set()

    with suppress(BrokenPipeError), task.open_components() as components:
        try:
            threading.Thread(target=listen, name="listen", daemon=True).start()
            components.skips.load()
            dynamodb, table = components.clients.dynamodb, components.names.events
            if task.read_units is not None:
                limit_reads(dynamodb, table, RateLimiter(task.read_units, stop))
            retry = RetryUntilStopped(stop, lambda text: send("report", text))
            readers = task.make_readers(components, stop, send)
            with metered(dynamodb) if task.metered else nullcontext() as units:

                def told(*message: Any) -> None:
                    """What was done, and before it what it has cost."""
                    if units is not None:
                        send("units", units.take())
                    send(*message)

                read_histories(
                    histories(dynamodb, table),
                    task.cursors,
                    lambda: [reader for reader in readers if reader.name not in dropped],
                    partial(told, "page"),
                    retry,
                    only=task.segments,
                )
                for reader in readers:
                    told("settled", reader.name, reader.settled())
            send("ended")
        except KinfoldError as error:
            send("failed", *described(error))
