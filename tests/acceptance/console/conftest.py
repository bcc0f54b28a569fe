"""A console beside running services, over a ledger in which something is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import httpx
import pytest

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
            for account in ("alice", "mallory"):
                answer = http.post(f"{stack.writer.url}/accounts/{account}/deposits", json=EUR)
                assert answer.status_code == 201
            store = EventStore(clients.dynamodb, names.events)
            append(store, "alice", rising_deposits(60))
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
