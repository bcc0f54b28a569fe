"""Somebody else's domain, from a folder of its own: two aggregate types in one table, one stream, one projector."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.dead_letters.letters import DeadLetters
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Orders, and the parcels they are sent in; one read model of each, and one of both.
DOMAIN: Final = '''
from dataclasses import dataclass, replace
from typing import Literal, assert_never, get_args

from ledger.aggregates import AggregateType, Event, EventTypes, JsonSnapshots, RefusedError
from projector import Columns, Projection, StoredEvent, UnprojectableEventError
from writer import Command, Resource, View


class OrderPlaced(Event):
    event_type = "OrderPlaced"
    schema_version: Literal[1] = 1
    items: int


class OrderPaid(Event):
    event_type = "OrderPaid"
    schema_version: Literal[1] = 1


OrderEvent = OrderPlaced | OrderPaid


@dataclass(frozen=True)
class OrderState:
    items: int = 0
    paid: bool = False


def fold_order(order: OrderState, event: OrderEvent) -> OrderState:
    match event:
        case OrderPlaced(items=items):
            return replace(order, items=order.items + items)
        case OrderPaid():
            return replace(order, paid=True)
        case _:
            assert_never(event)


ORDER = AggregateType[OrderState, OrderEvent](
    name="order",
    events=EventTypes(get_args(OrderEvent)),
    initial=lambda _: OrderState(),
    fold=fold_order,
    snapshots=JsonSnapshots(OrderState),
)


class AlreadyPaidError(RefusedError):
    rule = "already-paid"


class Place(Command[OrderState]):
    """Place an order, or add to it."""

    path = "/lines"
    items: int

    def decide(self, state: OrderState) -> list[OrderEvent]:
        return [OrderPlaced(items=self.items)]


class Pay(Command[OrderState]):
    """Pay an order."""

    path = "/payment"
    method = "PUT"
    refusals = (AlreadyPaidError,)

    def decide(self, state: OrderState) -> list[OrderEvent]:
        if state.paid:
            raise AlreadyPaidError("it is paid")
        return [OrderPaid()]


class OrderView(View[OrderState]):
    items: int
    paid: bool


class ParcelMoved(Event):
    event_type = "ParcelMoved"
    schema_version: Literal[1] = 1
    place: str


PARCEL = AggregateType[str, ParcelMoved](
    name="parcel",
    events=EventTypes([ParcelMoved]),
    initial=lambda _: "",
    fold=lambda _, event: event.place,
    snapshots=JsonSnapshots(str),
)


class Move(Command[str]):
    """Move a parcel."""

    path = "/stops/{place}"
    place: str

    def decide(self, state: str) -> list[ParcelMoved]:
        return [ParcelMoved(place=self.place)]


class ParcelView(View[str]):
    place: str

    @classmethod
    def of(cls, state: str) -> "ParcelView":
        return cls(place=state)


@dataclass(frozen=True)
class Where:
    place: str
    before: tuple[str, ...]


def where(state: Where | None, event: ParcelMoved, stored: StoredEvent) -> Where:
    if event.place == "nowhere":
        raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, "no parcel is nowhere")
    return Where(event.place, (*state.before, state.place) if state else ())


@dataclass(frozen=True)
class Steps:
    count: int


AGGREGATES = (ORDER, PARCEL)
RESOURCES = (
    Resource(aggregate=ORDER, path="orders", commands=(Place, Pay), view=OrderView, begins="its first line opens it"),
    Resource(aggregate=PARCEL, path="parcels", commands=(Move,), view=ParcelView),
)
PROJECTIONS = (
    Projection("parcel-places", "places", (PARCEL,), Columns(Where), where),
    Projection(
        "steps",
        "steps",
        (ORDER, PARCEL),
        Columns(Steps),
        lambda steps, _, __: Steps((steps.count if steps else 0) + 1),
        part_name="day",
        part=lambda _, stored: stored.occurred_at[:10],
        parse_part=str,
    ),
)
'''


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """What makes the domain known: the folder that it is in, and its name."""
    (tmp_path / "warehouse.py").write_text(DOMAIN)
    return {"KINFOLD_DOMAIN": "warehouse", "PYTHONPATH": str(tmp_path), "KINFOLD_SNAPSHOT_INTERVAL": "2"}


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


def test_two_aggregate_types_of_a_new_domain_are_served_projected_killed_rebuilt_and_verified(
    env: dict[str, str],
    start_service: Callable[..., Service],
    kinfold: Callable[..., tuple[int, str, str]],
    bridge: None,
    http: httpx.Client,
    clients: Clients,
    names: Names,
) -> None:
    writer = start_service("writer", "serve", **env)
    projector = start_service("projector", "run", **env, KINFOLD_FAILOVER_TIME="3")

    def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = http.request(method, f"{writer.url}{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    def shown(projection: str, aggregate: str, version: int) -> Any:
        url = f"{projector.url}/{projection}/{aggregate}"
        return until(
            lambda: http.get(url, params={"min_version": version, "wait": 5}), lambda each: each.is_success
        ).json()

    # One id, two aggregates: neither knows of the other.
    assert ask("POST", "/orders/x1/lines", {"items": 3})[1]["orderId"] == "x1"
    assert ask("PUT", "/orders/x1/payment", **{"Idempotency-Key": "k"})[0] == 201
    assert ask("PUT", "/orders/x1/payment", **{"Idempotency-Key": "k"})[0] == 201
    status, refusal = ask("PUT", "/orders/x1/payment")
    assert (status, refusal["type"], refusal["rule"]) == (422, "urn:kinfold:problem:already-paid", "already-paid")
    for place in ("depot", "hub", "door"):
        assert ask("POST", f"/parcels/x1/stops/{place}")[0] == 201
    assert ask("GET", "/orders/x1") == (200, {"orderId": "x1", "version": 2, "items": 3, "paid": True})
    assert ask("GET", "/parcels/x1") == (200, {"parcelId": "x1", "version": 3, "place": "door"})
    assert ask("GET", "/parcels/x1?version=2")[1]["place"] == "hub"
    assert [each["eventType"] for each in ask("GET", "/orders/x1/events")[1]["events"]] == ["OrderPlaced", "OrderPaid"]
    assert ask("GET", "/orders/nobody")[1]["detail"] == "There is no order nobody: its first line opens it."
    assert ask("GET", "/accounts/x1")[0] == 404, "no other domain is served"

    arrived = {"parcelId": "x1", "version": 3, "place": "door", "before": ["depot", "hub"]}
    assert shown("places", "x1", 3) == arrived
    assert shown("steps", "order~x1", 2)["days"][0]["count"] == 2
    assert shown("steps", "parcel~x1", 3)["days"][0]["count"] == 3
    assert http.get(f"{projector.url}/places/order~x1").status_code == 400, "a projection shows what it takes"

    projector.kill()
    for number in range(5):
        assert ask("POST", f"/parcels/p{number}/stops/depot")[0] == 201
        assert ask("POST", f"/orders/o{number}/lines", {"items": number})[0] == 201
    assert ask("POST", "/parcels/p0/stops/nowhere")[0] == 201
    # A domain that is no longer here left an event: it is passed by, and halts nobody.
    foreign = {"aggregateId": {"S": "invoice~1"}, "aggregateType": {"S": "invoice"}, "eventType": {"S": "Sent"}}
    like = clients.dynamodb.scan(TableName=names.events, Limit=1)["Items"][0]
    clients.dynamodb.put_item(TableName=names.events, Item=like | foreign | {"sequenceNumber": {"N": "1"}})
    projector = start_service("projector", "run", **env, KINFOLD_FAILOVER_TIME="3")
    for number in range(1, 5):
        assert shown("steps", f"order~o{number}", 1)["days"][0]["count"] == 1
        assert shown("places", f"p{number}", 1)["place"] == "depot"
    letters = DeadLetters(clients.dynamodb, names.dead_letters)
    [letter] = until(lambda: list(letters.list()), bool)
    assert (letter.letter.aggregate_id, letter.letter.projection) == ("parcel~p0", "parcel-places")
    until(lambda: "kinfold_projector_passed_by_total 1.0" in http.get(f"{projector.url}/metrics").text)

    code, out, err = kinfold("projector", "rebuild", "--json", **env)
    assert code == 0, err
    rebuilt = {each["projection"]: each for each in map(json.loads, out.splitlines())}
    assert {name: each["aggregates"] for name, each in rebuilt.items()} == {"parcel-places": 6, "steps": 12}
    code, out, err = kinfold("projector", "verify", "--json", **env)
    assert code == 5, out + err  # the parcel that is nowhere is halted, as it should be
    tallies = {each["projection"]: each["tally"] for each in map(json.loads, out.splitlines()) if "tally" in each}
    assert tallies == {"parcel-places": {"agrees": 5, "halted": 1}, "steps": {"agrees": 12}}
    code, out, err = kinfold("projector", "dead-letters", "skip", letter.id, "--reason", "lost in the post", **env)
    assert code == 0, out + err
    assert kinfold("projector", "verify", **env)[0] == 0
    assert shown("places", "x1", 3) == arrived

    store = EventStore(clients.dynamodb, names.events)
    assert [each.aggregate_type for each in store.read("parcel~x1")] == ["parcel"] * 3
    assert store.version("x1").number == 0


def test_a_service_says_what_keeps_its_domain_from_being_used(kinfold: Callable[..., tuple[int, str, str]]) -> None:
    for service in (("writer", "serve"), ("projector", "run"), ("projector", "verify")):
        code, _, err = kinfold(*service, KINFOLD_DOMAIN="no_such_domain")
        assert code == 2, err
        assert "no package 'no_such_domain'" in err
