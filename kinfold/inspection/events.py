"""``kinfold events``: the newest events, and those that come."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.store.event_store import EventStore
    from ledger.store.stored_event import StoredEvent
    from projector.components import Components

EPILOG: Final = (
    "Exit codes: 0 shown; 1 there is no such aggregate, table or stream; 2 bad settings or arguments; 75 the endpoint "
    "does not answer; 130 Ctrl-C."
)
#: Seconds between two looks at one aggregate.
_PAUSE: Final = 0.5
_THREADS: Final = 8
#: Events of before that are shown unless it is said how many.
_LAST: Final = 20


def events(
    aggregate: Annotated[
        str | None, typer.Option(metavar="ID", show_default=False, help="Only of this aggregate: its id or key.")
    ] = None,
    aggregate_type: Annotated[
        str | None, typer.Option(show_default=False, help="Its type, where several could have this id.")
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            "-n",
            min=0,
            max=100_000,
            show_default=False,
            help="How many of before, the newest: 20, and none with --follow alone.",
        ),
    ] = None,
    minutes: Annotated[
        int, typer.Option(min=1, max=525_600, help="Without --aggregate: of how long ago at most.")
    ] = 60,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new ones as they come.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, one object a line.")] = False,
) -> None:
    """Show the newest events, or with --follow those that come, until Ctrl-C.

    With --aggregate they are read from the event store, all of them and in order. Without it, those of before are read
    from the Kinesis stream, new ones from the table's own stream: there DynamoDB allows two readers, and the watch or
    the relay is one. Shows payloads, which may hold personal data.

    [dim]$[/dim] kinfold events --follow
    [dim]$[/dim] kinfold events --aggregate alice --last 100
    [dim]$[/dim] kinfold events --follow --json | jq -r .eventType
    """
    from kinfold.inspection.account import named
    from kinfold.inspection.live_view import INTERRUPTED
    from projector.cli.context import operator

    if aggregate_type is not None and aggregate is None:
        raise typer.BadParameter("it goes with --aggregate", param_hint="--aggregate-type")
    with operator() as components:
        key = None
        if aggregate is not None:
            _, key = named(components.aggregates, aggregate, aggregate_type)
        if last is None:
            last = 0 if follow and aggregate is None else _LAST
        try:
            asyncio.run(_show(components, key, last, timedelta(minutes=minutes), follow=follow, as_json=as_json))
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


async def _show(
    components: "Components", key: str | None, last: int, period: timedelta, *, follow: bool, as_json: bool
) -> None:
    from aws_client.call_pool import CallPool
    from kinfold.inspection.event_feed import EventFeed, lately
    from ledger.errors import TransientError
    from ledger.store.errors import NoSuchAggregateError
    from stream_bridge.dynamodb_stream import TableStream

    def show(found: "StoredEvent | str") -> None:
        _print(found, as_json=as_json)

    if key is not None:
        version = await asyncio.to_thread(_newest, components.store, key, last, show)
        if not (version or follow):
            raise NoSuchAggregateError(key)
        while follow:
            await asyncio.sleep(_PAUSE)
            try:
                version = await asyncio.to_thread(_after, components.store, key, version, show)
            except TransientError:
                continue  # it is read on from the same event
        return
    calls = CallPool(_THREADS, "events")
    clients, names = components.clients, components.names
    try:
        if last:
            for event in (await lately(clients, calls, names, datetime.now(UTC) - period))[-last:]:
                show(event)
        if follow:
            stream = TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, calls)
            await EventFeed(stream, show).run()
    finally:
        calls.close()


def _newest(store: "EventStore", key: str, last: int, show: "Callable[[StoredEvent], None]") -> int:
    """Show the last events of an aggregate; gives its version, 0 where there is none."""
    found = store.newest(key, limit=max(last, 1))
    for event in reversed(found[:last]):
        show(event)
    return found[0].sequence_number if found else 0


def _after(store: "EventStore", key: str, version: int, show: "Callable[[StoredEvent], None]") -> int:
    """Show the events of an aggregate after a version; gives the version that they reach."""
    for event in store.read(key, after=version):
        show(event)
        version = event.sequence_number
    return version


def _print(found: "StoredEvent | str", *, as_json: bool) -> None:
    """Print an event at once; what is none, beside it."""
    from kinfold.inspection.plain_text import as_json as json_line
    from kinfold.inspection.plain_text import event_json, event_line, plain
    from ledger.runtime.cli_output import tell

    if isinstance(found, str):
        tell(plain(found))
    else:
        print(json_line(event_json(found)) if as_json else event_line(found), flush=True)  # noqa: T201
