"""Bad input gets an answer of its own and changes nothing."""

import gzip
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import boto3
import httpx
import pytest

from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited
from kinfold.demo.disposable import delete_profile, disposable_profile
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import append
from tests.support.aws.tables import made_tables

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Bad:
    """A request, and the answer it gets: status, the last part of its type, and words of its message."""

    name: str
    path: str
    body: Any
    status: int
    problem: str
    words: str
    headers: dict[str, str] | list[tuple[str, str]] = field(default_factory=dict)
    method: str = "POST"

    def __str__(self) -> str:
        return self.name


DEPOSITS, WITHDRAWALS, BETS = "/accounts/alice/deposits", "/accounts/alice/withdrawals", "/accounts/alice/bets"


def amount(name: str, value: Any, words: str = 'such as "12.50"') -> Bad:
    return Bad(name, DEPOSITS, {"amount": value, "currency": "EUR"}, 400, "malformed-request", words)


def raw(name: str, body: bytes, words: str) -> Bad:
    return Bad(name, DEPOSITS, body, 400, "malformed-request", words)


def rule(name: str, path: str, body: dict[str, str], problem: str, words: str) -> Bad:
    return Bad(name, path, body, 422, problem, words)


def stated(name: str, words: str, *lines: tuple[str, str]) -> Bad:
    return Bad(name, DEPOSITS, MONEY, 400, "malformed-request", words, list(lines))


def unmet(name: str, words: str, *lines: tuple[str, str]) -> Bad:
    return Bad(name, DEPOSITS, MONEY, 412, "precondition-failed", words, list(lines))


def chunked(size: int) -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // 65_536 + 1):
            yield b"x" * 65_536

    return chunks()


MONEY = {"amount": "1.00", "currency": "EUR"}
REQUESTS = [
    rule(
        "withdrawal over the balance",
        WITHDRAWALS,
        {"amount": "6.01", "currency": "EUR"},
        "insufficient-funds",
        "holds 6.00; 6.01",
    ),
    rule(
        "stake over the balance",
        BETS,
        {"betId": "b9", "stake": "6.01", "currency": "EUR"},
        "insufficient-funds",
        "holds 6.00; 6.01",
    ),
    rule("amount of 0", DEPOSITS, {"amount": "0.00", "currency": "EUR"}, "invalid-amount", "0.00 is not a positive"),
    rule("other currency", DEPOSITS, {"amount": "1", "currency": "USD"}, "currency-mismatch", "held in EUR; USD"),
    rule(
        "second settlement",
        BETS + "/settled/settlement",
        {"payout": "1", "currency": "EUR"},
        "bet-already-settled",
        "bet settled was already settled",
    ),
    rule(
        "settlement of no bet",
        BETS + "/b9/settlement",
        {"payout": "1", "currency": "EUR"},
        "unknown-bet",
        "no bet b9 was placed",
    ),
    rule(
        "settlement in another currency",
        BETS + "/open/settlement",
        {"payout": "1", "currency": "USD"},
        "currency-mismatch",
        "held in EUR",
    ),
    rule(
        "second placement",
        BETS,
        {"betId": "open", "stake": "1", "currency": "EUR"},
        "bet-already-placed",
        "bet open was already placed",
    ),
    amount("negative amount", "-1.00"),
    amount("three places", "1.234"),
    amount("NaN", "NaN"),
    amount("Infinity", "Infinity"),
    amount("1e400", "1e400"),
    amount("1e2", "1e2"),
    amount("huge amount", "9" * 50_000),
    amount("empty amount", ""),
    amount("null amount", None),
    amount("boolean amount", True),
    amount("JSON float", 12.5, "a JSON number may already have lost a digit"),
    amount("JSON integer", 12, "a JSON number may already have lost a digit"),
    raw("JSON NaN", b'{"amount": NaN, "currency": "EUR"}', "is not JSON"),
    raw("JSON 1e400", b'{"amount": 1e400, "currency": "EUR"}', "an amount is a string"),
    raw("JSON negative float", b'{"amount": -0.5, "currency": "EUR"}', "an amount is a string"),
    raw("JSON integer of 5,000 digits", b'{"amount": ' + b"9" * 5000 + b"}", "cannot be read"),
    Bad("unknown currency", DEPOSITS, MONEY | {"currency": "XXX"}, 400, "malformed-request", "ISO 4217"),
    Bad("currency in small letters", DEPOSITS, MONEY | {"currency": "eur"}, 400, "malformed-request", "in capitals"),
    Bad("currency of no cents", DEPOSITS, MONEY | {"currency": "JPY"}, 400, "malformed-request", "two places"),
    Bad("no currency", WITHDRAWALS, {"amount": "1"}, 400, "malformed-request", "currency: is required"),
    Bad("extra field", DEPOSITS, MONEY | {"note": "hi"}, 400, "malformed-request", "note: is not a field"),
    Bad(
        "negative payout",
        BETS + "/open/settlement",
        {"payout": "-1", "currency": "EUR"},
        400,
        "malformed-request",
        "payout: an amount",
    ),
    Bad(
        "bad bet id",
        BETS,
        {"betId": "b/1", "stake": "1", "currency": "EUR"},
        400,
        "malformed-request",
        "a bet id has 1 to 64",
    ),
    Bad(
        "bad bet id in the path",
        BETS + "/b%201/settlement",
        {"payout": "1", "currency": "EUR"},
        400,
        "malformed-request",
        "a bet id has",
    ),
    Bad(
        "id of 3,000 characters",
        f"/accounts/{'a' * 3000}/deposits",
        MONEY,
        400,
        "malformed-request",
        "an account id has 1 to 128",
    ),
    Bad(
        "id of 3,000 characters, read",
        f"/accounts/{'a' * 3000}",
        None,
        400,
        "malformed-request",
        "an account id has 1 to 128",
        method="GET",
    ),
    Bad("id with a blank", "/accounts/a%20b/deposits", MONEY, 400, "malformed-request", "an account id has"),
    Bad("id with a line break", "/accounts/a%0Ab/deposits", MONEY, 400, "malformed-request", "control character"),
    Bad("id not in UTF-8", "/accounts/%ff%fe/deposits", MONEY, 400, "malformed-request", "not UTF-8"),
    Bad("id with a slash", "/accounts/alice%2Fdeposits", MONEY, 400, "malformed-request", "encoded slash"),
    Bad("id with a backslash", "/accounts/alice%5Cdeposits/deposits", MONEY, 400, "malformed-request", "backslash"),
    Bad("dots in the path", "/accounts/bob/%2E%2E/alice/deposits", MONEY, 400, "malformed-request", "no segment"),
    Bad("unknown query", DEPOSITS + "?dry_run=true", MONEY, 400, "malformed-request", "dry_run: is no query parameter"),
    raw("invalid JSON", b'{"amount": "1.00"', "is not JSON"),
    raw("no JSON at all", b"amount=1", "is not JSON"),
    raw("not in UTF-8", b'{"amount": "\xff"}', "UTF-8"),
    # Python 3.14 reads any depth, and finds that it does not end.
    raw("deep JSON", b"[" * 60_000, "cannot be read" if sys.version_info < (3, 14) else "is not JSON"),
    raw(
        "deep JSON that ends",
        b"[" * 30_000 + b"]" * 30_000,
        "cannot be read" if sys.version_info < (3, 14) else "JSON object",
    ),
    raw("a JSON list", b"[]", "JSON object"),
    raw("a JSON text", b'"x"', "JSON object"),
    raw("no body", b"", "needs a body"),
    Bad("body of 10 MB", DEPOSITS, b"x" * 10_000_000, 413, "body-too-large", "65536 bytes"),
    Bad("body of 10 MB in chunks", DEPOSITS, 10_000_000, 413, "body-too-large", "65536 bytes"),
    Bad("body of 10 MB to no path", "/nothing", b"x" * 10_000_000, 413, "body-too-large", "65536 bytes"),
    Bad(
        "a form",
        DEPOSITS,
        b"amount=1",
        415,
        "unsupported-media-type",
        "application/json",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    Bad(
        "JSON called text",
        DEPOSITS,
        b"{}",
        415,
        "unsupported-media-type",
        "application/json",
        {"Content-Type": "text/plain"},
    ),
    Bad("no content type", DEPOSITS, b"{}", 415, "unsupported-media-type", "application/json", {"Content-Type": ""}),
    Bad(
        "malformed If-Match",
        DEPOSITS,
        MONEY,
        400,
        "malformed-request",
        "If-Match: takes one version",
        {"If-Match": "7"},
    ),
    stated("two versions in If-Match", "If-Match: takes one version", ("If-Match", '"4", "5"')),
    stated("two If-Match lines, the first holding", "If-Match", ("If-Match", '"4"'), ("If-Match", '"9"')),
    stated("two equal If-Match lines", "If-Match", ("If-Match", '"4"'), ("If-Match", '"4"')),
    stated("two Idempotency-Key lines", "Idempotency-Key", ("Idempotency-Key", "a"), ("Idempotency-Key", "b")),
    stated("two equal Idempotency-Key lines", "Idempotency-Key", ("Idempotency-Key", "a"), ("idempotency-key", "a")),
    stated("no Idempotency-Key in its line", "Idempotency-Key", ("Idempotency-Key", "")),
    stated("malformed If-None-Match", "If-None-Match: takes entity tags", ("If-None-Match", "4")),
    stated("If-Modified-Since", "not evaluated", ("If-Modified-Since", "Sat, 29 Oct 1994 19:43:31 GMT")),
    stated("If-Unmodified-Since", "not evaluated", ("If-Unmodified-Since", "Sat, 29 Oct 1994 19:43:31 GMT")),
    stated("If-Range", "not evaluated", ("If-Range", '"4"')),
    unmet("If-None-Match: *", "excludes version 4", ("If-None-Match", "*")),
    unmet("If-None-Match of its version", "excludes version 4", ("If-None-Match", '"3", W/"4"')),
    unmet("two If-None-Match lines", "excludes version 4", ("If-None-Match", '"3"'), ("If-None-Match", '"4"')),
    unmet("both conditions, one holding", "excludes version 4", ("If-Match", '"4"'), ("If-None-Match", "*")),
    Bad("an expectation", DEPOSITS, MONEY, 417, "expectation-failed", "100-continue", {"Expect": "a-receipt"}),
    Bad(
        "a body in gzip",
        DEPOSITS,
        gzip.compress(b'{"amount": "1.00", "currency": "EUR"}'),
        415,
        "unsupported-media-type",
        "Content-Encoding",
        {"Content-Encoding": "gzip"},
    ),
    Bad(
        "JSON in Latin-1",
        DEPOSITS,
        b"{}",
        415,
        "unsupported-media-type",
        "UTF-8",
        {"Content-Type": "application/json; charset=iso-8859-1"},
    ),
    raw("two amounts", b'{"amount": "1.00", "currency": "EUR", "amount": "900.00"}', "amount: is given twice"),
    raw("two names deep in the body", b'{"amount": {"x": [{"y": 1, "y": 2}]}}', "y: is given twice"),
    raw("JSON in UTF-16", '{"amount": "1.00", "currency": "EUR"}'.encode("utf-16"), "UTF-8"),
    raw("JSON in UTF-32", '{"amount": "1.00", "currency": "EUR"}'.encode("utf-32-be"), "is not JSON"),
    raw("JSON behind a byte order mark", b'\xef\xbb\xbf{"amount": "1.00", "currency": "EUR"}', "is not JSON"),
    Bad("stale If-Match", DEPOSITS, MONEY, 412, "precondition-failed", "at version 4", {"If-Match": '"3"'}),
    Bad("unknown path", "/accounts/alice/gifts", MONEY, 404, "unknown-path", "Nothing is served"),
    Bad("trailing slash", DEPOSITS + "/", MONEY, 404, "unknown-path", "Nothing is served"),
    Bad("wrong method", "/accounts/alice", MONEY, 405, "method-not-allowed", "Allow", method="DELETE"),
    Bad("made-up method", DEPOSITS, MONEY, 405, "method-not-allowed", "Allow", method="BREW" * 20),
]


@pytest.fixture(scope="module")
def profile() -> str:
    """One for all requests: none of them changes anything."""
    return disposable_profile("test-")


@pytest.fixture(scope="module")
def clients(aws_endpoint: str, aws_session: boto3.session.Session, profile: str) -> Iterator[Clients]:
    settings = Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint})
    clients = Clients(settings, session=aws_session)
    yield clients
    delete_profile(clients, profile)


@pytest.fixture(scope="module")
def ledger_tables(clients: Clients, profile: str) -> Names:
    return made_tables(clients.dynamodb, Names(profile))


@pytest.fixture(scope="module")
def alice(clients: Clients, ledger_tables: Names) -> str:
    """An account at version 4: 6.00 EUR, an open bet and a settled one."""
    events: list[BettingEvent] = [
        FundsDeposited(amount=Decimal("10.00"), currency="EUR"),
        BetPlaced(bet_id="open", stake=Decimal("3.00"), currency="EUR"),
        BetPlaced(bet_id="settled", stake=Decimal("1.00"), currency="EUR"),
        BetSettled(bet_id="settled", payout=Decimal(0), currency="EUR"),
    ]
    append(EventStore(clients.dynamodb, ledger_tables.events), "alice", events, 0)
    return "alice"


@pytest.mark.parametrize("bad", REQUESTS, ids=str)
async def test_a_bad_request_gets_its_own_answer_and_changes_nothing(
    http: httpx.AsyncClient, alice: str, bad: Bad
) -> None:
    before = (await http.get(f"/accounts/{alice}")).text
    sent: dict[str, Any]
    if isinstance(bad.body, bytes):
        sent = {"content": bad.body, "headers": {**JSON, **dict(bad.headers)}}
    elif isinstance(bad.body, int):
        sent = {"content": chunked(bad.body), "headers": JSON}
    else:
        sent = {"json": bad.body, "headers": bad.headers}
    response = await http.request(bad.method, bad.path, **sent)

    assert response.status_code == bad.status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["type"], body["status"]) == (f"urn:kinfold:problem:{bad.problem}", bad.status)
    assert bad.words in body["detail"]
    assert body.get("rule") == (bad.problem if bad.status == 422 else None)
    assert body["correlationId"] == response.headers["x-correlation-id"]
    assert len(response.content) < 2000, "the answer repeats what was sent"
    after = await http.get(f"/accounts/{alice}")
    assert after.text == before
    assert after.headers["etag"] == '"4"'


def test_the_list_has_no_request_twice() -> None:
    assert len({str(bad) for bad in REQUESTS}) == len(REQUESTS)
