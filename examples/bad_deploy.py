"""Practise on what `make up` runs: store an event of an account that no fold can read, as a bad deploy might; mend it.

    python examples/bad_deploy.py alice          # the projector halts alice, and nobody else
    python examples/bad_deploy.py alice --mend   # the event is as it should have been: now redrive

It writes past the event store, so it refuses any endpoint but one on this machine.
"""

import sys
import time

import typer
from msgspec import structs

from kinfold.local.connection import connect
from ledger.errors import KinfoldError
from ledger.runtime.aws import Clients
from ledger.runtime.settings import load_settings
from ledger.runtime.sockets import is_loopback_url
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.dead_letters.letters import DeadLetters
from projector.settings import ProjectorSettings

_PAYLOAD = '{{"schemaVersion":1,"amount":"{}","currency":"EUR"}}'
BAD, GOOD = _PAYLOAD.format("ten"), _PAYLOAD.format("10.00")


def main(account: str, *, mend: bool) -> str:
    connect()
    settings = load_settings(ProjectorSettings)
    if settings.endpoint_url is None or not is_loopback_url(str(settings.endpoint_url)):
        sys.exit(f"{settings.endpoint_url or 'AWS'} is not on this machine: this is for practice only")
    clients, names = Clients(settings, connections=1), Names(settings.profile, settings.events_table)
    letters = DeadLetters(clients.dynamodb, names.dead_letters)
    last = next(iter(EventStore(clients.dynamodb, names.events).newest(account, limit=1)), None)
    if last is None:
        sys.exit(f"{account} has no event yet: make a deposit first")
    if mend != (last.payload == BAD):
        sys.exit(f"event {last.sequence_number} of {account} is {'readable' if mend else 'unreadable already'}")
    number = last.sequence_number + (not mend)
    event = structs.replace(last, sequence_number=number, event_type="FundsDeposited", payload=GOOD if mend else BAD)
    clients.dynamodb.put_item(TableName=names.events, Item=event.to_item())
    typer.echo("waiting for the projector to meet it; Ctrl-C ends this, and the event stays ...", err=True)
    while not (told := _told(letters, account, of_change=mend)):
        time.sleep(0.2)
    return f"event {number} of {account} is {'mended' if mend else 'unreadable'}; the projector says: {told[0]}"


def _told(letters: DeadLetters, account: str, *, of_change: bool) -> list[str]:
    """The open letters' reasons: of what no read model can fold, or of an event that was changed, as none may be."""
    found = [each.letter for each in letters.list(aggregate_id=account, state="open")]
    return [letter.reason for letter in found if (letter.projection is None) == of_change]


if __name__ == "__main__":
    match sys.argv[1:]:
        case [account] | [account, "--mend"]:
            try:
                typer.echo(main(account, mend="--mend" in sys.argv))
            except KinfoldError as error:
                sys.exit(str(error))
        case _:
            sys.exit(__doc__)
