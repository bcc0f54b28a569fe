"""A console beside running services, over a ledger in which something is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import boto3
import httpx
import pytest

from betting.events import BetPlaced, BetSettled, BettingEvent, FundsWithdrawn
from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.environment import service_environment
from kinfold.local.service import Service
from kinfold.local.stack import Stack
from ledger.runtime.auth import Credential, Principal, Scope, digest
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.runtime.sockets import free_port
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from tests.support.accounts import append, poison, rising_deposits
from tests.support.waiting import until

TOKEN = "kf_operates"
EUR = {"amount": "100.00", "currency": "EUR"}


@dataclass(frozen=True)
class Ledger:
    """Where it all is. ``bad``: mallory's event that no fold can read, which halts her."""

    url: str
    clients: Clients
    names: Names
    bad: StoredEvent

    def mend(self) -> None:
        """Make mallory's event what it should have been."""
        key = {"aggregateId": {"S": "mallory"}, "sequenceNumber": {"N": str(self.bad.sequence_number)}}
        payload = {":p": {"S": '{"schemaVersion":1,"amount":"10.00","currency":"EUR"}'}}
        self.clients.dynamodb.update_item(
            TableName=self.names.events, Key=key, UpdateExpression="SET payload = :p", ExpressionAttributeValues=payload
        )


def a_month_of_bets() -> list[BettingEvent]:
    """61 events: money comes in, and of the bets every fourth wins."""
    events: list[BettingEvent] = rising_deposits(1, first=100) + rising_deposits(1)
    for number in range(29):
        bet, stake = f"race-{number}", Decimal(4 + number * 7 % 23)
        events.append(BetPlaced(bet_id=bet, stake=stake, currency="EUR"))
        if number in {10, 20}:
            events += rising_deposits(1, first=60)
        else:
            payout = Decimal(0) if number % 4 else 3 * stake
            events.append(BetSettled(bet_id=bet, payout=payout, currency="EUR"))
    return [*events, FundsWithdrawn(amount=Decimal(40), currency="EUR")]


@pytest.fixture(scope="module")
def ledger(
    aws_endpoint: str, aws_session: boto3.session.Session, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """Writer, projector, watch and a console that asks for a token; alice with a history, mallory halted."""
    profile, logs = disposable_profile("test-"), tmp_path_factory.mktemp("logs")
    clients = Clients(Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint}), session=aws_session)
    names = Names(profile)
    try:
        with (
            Stack(aws_endpoint, profile=profile, log_dir=logs) as stack,
            httpx.Client(trust_env=False, timeout=30) as http,
        ):
            answer = http.post(f"{stack.writer.url}/accounts/mallory/deposits", json=EUR)
            assert answer.status_code == 201
            store = EventStore(clients.dynamodb, names.events)
            # From a midnight on: the same 30 days, whatever time of day it is.
            began = datetime.combine(datetime.now(UTC).date() - timedelta(days=30), time.min, UTC)
            for number, event in enumerate(a_month_of_bets()):
                append(store, "alice", [event], now=began + number * timedelta(hours=11.7))
            bad = poison(clients.dynamodb, names.events, *store.load("mallory").events)
            until(lambda: http.get(f"{stack.projector.url}/dead-letters").json()["deadLetters"])
            credential = Credential(Principal("op", frozenset({Scope.READ, Scope.OPERATE})), digest(TOKEN))
            port = free_port()
            urls = ",".join(service.url for service in (stack.writer, stack.projector, stack.bridge))
            settings = {"KINFOLD_ACCESS": "tokens", "KINFOLD_TOKENS": str(credential), "KINFOLD_CONSOLE_SERVICES": urls}
            console = Service(
                "console",
                ["console", "serve", "--port", str(port)],
                url=f"http://127.0.0.1:{port}",
                env=service_environment(aws_endpoint, profile, settings),
                log=logs / "console",
            )
            try:
                until(lambda: _answers(console.url))
                yield Ledger(console.url, clients, names, bad)
            finally:
                assert console.stop() == 0
    finally:
        delete_profile(clients, profile)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
