"""Requests, as bytes: of everything that a client may state, much is missing, repeated, malformed or cut off."""

import gzip
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Final, TypeVar
from urllib.parse import quote

from hypothesis import strategies as st

Lines = list[tuple[str, str]]
T = TypeVar("T")

MONEY: Final = b'{"amount": "1.00", "currency": "EUR"}'
SOUND: Final = (
    MONEY,
    b'{"betId": "b1", "stake": "1.00", "currency": "EUR"}',
    b'{"payout": "0", "currency": "EUR"}',
    b'{"reason": "fuzz"}',
)
COMMANDS: Final = ("/deposits", "/withdrawals", "/bets", "/settlement", "/redrive", "/skip")
LETTER: Final = "record~mallory~1"
_CONDITIONS: Final = frozenset(
    {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "idempotency-key"}
)
_TAGGED: Final = frozenset({"if-match", "if-none-match"})


@dataclass(frozen=True)
class Route:
    """A path with places for ids, the query parameters that it takes, and the conditions that it evaluates."""

    path: str
    taken: frozenset[str] = frozenset()
    evaluated: frozenset[str] = frozenset()


def _routes(taken: set[str], evaluated: frozenset[str], *paths: str) -> list[Route]:
    return [Route(path, frozenset(taken), evaluated) for path in paths]


OPERATIONS: Final = _routes(set(), frozenset(), "/health", "/ready", "/metrics", "/nothing")
DOCUMENTATION: Final = _routes(set(), frozenset(), "/docs", "/docs/start.js", "/openapi.json")
ROUTES: Final = {
    "writer": [
        *OPERATIONS,
        *_routes({"version", "at"}, _TAGGED, *["/accounts/{id}"] * 3),
        *_routes({"from", "limit", "order"}, frozenset(), "/accounts/{id}/events"),
        *_routes({"from", "limit"}, frozenset(), "/accounts/{id}/history"),
        *_routes(
            set(),
            _TAGGED | {"idempotency-key"},
            *["/accounts/{id}/deposits"] * 4,
            "/accounts/{id}/withdrawals",
            "/accounts/{id}/bets",
            "/accounts/{id}/bets/{id}/settlement",
        ),
        *DOCUMENTATION,
    ],
    "projector": [
        *OPERATIONS,
        *_routes({"min_version", "wait", "limit"}, _TAGGED, *["/balances/{id}"] * 2),
        *_routes({"min_version", "wait", "limit", "from", "to"}, _TAGGED, *["/activity/{id}"] * 3),
        *_routes({"limit", "cursor", "halted"}, frozenset(), "/balances", "/activity"),
        *_routes({"state", "aggregate"}, frozenset(), "/dead-letters"),
        *_routes(set(), frozenset(), "/dead-letters/{id}", f"/dead-letters/{LETTER}"),
        *_routes(
            {"dry_run"},
            frozenset(),
            f"/dead-letters/{LETTER}/redrive",
            "/dead-letters/{id}/redrive",
            f"/dead-letters/{LETTER}/skip",
        ),
        *_routes(set(), frozenset(), "/", "/router/", "/table/x/"),
        *DOCUMENTATION,
    ],
    "watch": [*OPERATIONS, *DOCUMENTATION],
}

METHODS: Final = st.sampled_from(
    ["GET"] * 6
    + ["POST"] * 6
    + ["HEAD"] * 2
    + ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "SEARCH", "get", "BREW"]
)
NASTY: Final = (
    "", "0", "-1", "1", "1.5", "99999999999999999999", "%00", "%ff", "%", "%zz", "x", "*", "true", "yes", "null", "NaN",
    "\u0663", "é", " ", "a" * 200, "a" * 9000, "'", '"', "..", "%2e%2e", "!", "~", "{}", "%ED%A0%80", "+", ";", "#",
)  # fmt: skip
MOMENTS: Final = st.one_of(
    st.sampled_from(
        ["2026", "2026-01-01", "2026-01-01T00:00Z", "2026-01-01T00:00:00", "0001-01-01T00:00:00%2B14:00", "yesterday",
         "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z", "2026-W01-1", "20260101T000000Z", "2026-02-30", "!"]
    ),
    st.builds(
        lambda naive, minutes: quote(naive.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat()),
        st.datetimes(),
        st.integers(-1439, 1439),
    ),
    st.dates().map(str),
)  # fmt: skip
IDS: Final = st.one_of(
    st.sampled_from(["alice"] * 6 + ["bob", "nobody"]),
    st.sampled_from(["open%2Fdeposits", "alice%2fdeposits", "alice%5Cx", "%61lice", "a/b", ".", "-", "a%0Ab", *NASTY]),
    st.text(max_size=8).map(quote),
)
PARAMETERS: Final = st.sampled_from(
    [
        "version",
        "at",
        "from",
        "to",
        "limit",
        "order",
        "wait",
        "state",
        "aggregate",
        "dry_run",
        "min_version",
        "x",
        "",
        "cursor",
        "halted",
    ]
)
FIELDS: Final = st.one_of(
    st.tuples(
        st.sampled_from(["If-Match", "If-None-Match", "if-none-match", "If-Range"]),
        st.sampled_from(['"1"', '"0"', "*", 'W/"1"', '"1", "2"', "1", "", '"', '"\u00e9"', '"' + "9" * 40 + '"']),
    ),
    st.tuples(
        st.sampled_from(["If-Modified-Since", "If-Unmodified-Since"]),
        st.sampled_from(["Sat, 29 Oct 1994 19:43:31 GMT", "yesterday", ""]),
    ),
    st.tuples(
        st.sampled_from(["Idempotency-Key", "IDEMPOTENCY-KEY"]), st.sampled_from(["a", '"b"', "", "a b", "\u00ff"])
    ),
    st.tuples(st.just("Expect"), st.sampled_from(["100-continue", "a-receipt", ""])),
    st.tuples(st.just("Content-Encoding"), st.sampled_from(["gzip", "deflate", "br", "identity", "x"])),
    st.tuples(st.just("Origin"), st.sampled_from(["null", "http://evil.example", "http://127.0.0.1", "\u00e9"])),
    st.tuples(st.just("Sec-Fetch-Site"), st.sampled_from(["cross-site", "same-origin", "none", "x"])),
    st.tuples(st.just("Authorization"), st.sampled_from(["Bearer x", "Basic x", "", "Bearer " + "x" * 2000])),
    st.tuples(st.just("X-Correlation-ID"), st.sampled_from(["order-1", "a b", "a" * 200, "\u00e9"])),
    st.tuples(st.just("Connection"), st.sampled_from(["close", "keep-alive", "upgrade", "x, y"])),
    st.tuples(st.just("Upgrade"), st.sampled_from(["websocket", "h2c"])),
    st.tuples(st.just("Range"), st.just("bytes=0-1")),
    st.tuples(st.text("abcXYZ-_ :\x00", min_size=1, max_size=8), st.text(max_size=12)),
)
TYPES: Final = st.sampled_from(
    [["application/json"]] * 8
    + [["application/json; charset=utf-8"], ["application/json; charset=latin-1"], ["text/plain"], [""], []]
    + [["application/json", "text/plain"], ["multipart/form-data; boundary=x"], ["\u00e9"]]
)
HOSTS: Final = st.sampled_from([["127.0.0.1"]] * 12 + [["evil.example"], [], ["a", "b"], [""], ["a b"], ["[::1"]])
BODIES: Final = st.one_of(
    st.sampled_from([MONEY] * 4),
    st.sampled_from(
        [
            b'{"betId": "b1", "stake": "1.00", "currency": "EUR"}',
            b'{"payout": "0", "currency": "EUR"}',
            b'{"reason": "fuzz"}',
            b"{}",
            b"",
            b'{"amount": "1.00", "amount": "2.00", "currency": "EUR"}',
            b'{"amount": NaN, "currency": "EUR"}',
            b'{"amount": "\\ud800", "currency": "EUR"}',
            b'{"reason": "\\ud800"}',
            b'{"\\ud800": 1}',
            MONEY.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + MONEY,
            MONEY + b"\xff",
            gzip.compress(MONEY),
            b"[" * 5000,
            b'{"amount": ' + b"9" * 5000 + b"}",
            b"x" * 70_000,
        ]
    ),
    st.binary(max_size=40),
)
FRAMINGS: Final = st.sampled_from(
    ["length"] * 10
    + ["chunked"] * 3
    + ["none", "long", "short", "negative", "two", "both", "cut chunk", "gzip, chunked"]
)
VERSIONS: Final = st.sampled_from(
    ["HTTP/1.1"] * 20 + ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 x", ""]
)


@dataclass(frozen=True)
class Request:
    """The bytes of a request, and why it must not be carried out; ``odd``: its bytes were tampered with."""

    raw: bytes
    method: str
    refusals: tuple[str, ...]
    odd: bool


def mostly(usual: st.SearchStrategy[T], wild: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Three times in four the usual, so that one request in ten is sound, and many are wrong in one way alone."""
    return st.integers(0, 3).flatmap(lambda number: wild if number == 3 else usual)


@st.composite
def requests(draw: st.DrawFn, service: str) -> Request:
    """A request to ``service``."""
    route = draw(st.sampled_from(ROUTES[service]))
    method = draw(
        mostly(st.sampled_from(["POST"] if route.path.endswith(COMMANDS) else ["GET", "GET", "HEAD"]), METHODS)
    )
    path = "/".join(
        draw(mostly(st.sampled_from(["alice", "bob"]), IDS)) if part == "{id}" else part
        for part in route.path.split("/")
    )
    query = draw(
        mostly(st.just([]), st.lists(st.tuples(PARAMETERS, st.one_of(st.sampled_from(NASTY), MOMENTS)), max_size=2))
    )
    if any(name == "min_version" for name, _ in query):
        query.append(("wait", "0"))
    target = path + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")
    stated = draw(mostly(st.just([]), st.lists(FIELDS, max_size=3)))
    body, framing = draw(mostly(st.sampled_from(SOUND), BODIES)), draw(mostly(st.just("length"), FRAMINGS))
    lines = [("Host", host) for host in draw(mostly(st.just(["127.0.0.1"]), HOSTS))] + stated
    if method == "POST" or draw(st.integers(0, 9)) == 0:
        lines += [("Content-Type", each) for each in draw(mostly(st.just(["application/json"]), TYPES))]
        framed, body = _framed(framing, body)
        lines += framed
    else:
        framing, body = "length", b""
    head = f"{method} {target} {draw(mostly(st.just('HTTP/1.1'), VERSIONS))}\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines
    )
    whole = head.encode("utf-8", "surrogatepass") + b"\r\n" + body
    raw = draw(_tampered(whole))
    return Request(
        raw, method, tuple(_refusals(route, path, query, stated)), raw != whole or framing not in {"length", "chunked"}
    )


def _framed(framing: str, body: bytes) -> tuple[Lines, bytes]:
    """How the body's end is told, rightly or not, and the bytes after the head."""
    size, chunked = str(len(body)), b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    length, chunks = ("Content-Length", size), ("Transfer-Encoding", "chunked")
    return {
        "length": ([length], body),
        "chunked": ([chunks], chunked),
        "none": ([], body),
        "long": ([("Content-Length", str(len(body) + 7))], body),
        "short": ([("Content-Length", str(len(body) // 2))], body),
        "negative": ([("Content-Length", "-1")], body),
        "two": ([length, ("Content-Length", "3")], body),
        "both": ([length, chunks], chunked),
        "cut chunk": ([chunks], chunked[: len(chunked) // 2]),
        "gzip, chunked": ([("Transfer-Encoding", "gzip, chunked")], chunked),
    }[framing]


@st.composite
def _tampered(draw: st.DrawFn, whole: bytes) -> bytes:
    """Nine times in ten the same; else cut, with other bytes in it, or with other ends of lines."""
    kind, at = draw(st.integers(0, 39)), draw(st.integers(0, len(whole)))
    match kind:
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + draw(st.binary(min_size=1, max_size=6)) + whole[at + 1 :]
        case 2:
            return whole.replace(b"\r\n", b"\n")
        case 3:
            return whole[:at] + b"\r\n" + whole[at:]
        case _:
            return whole


def _refusals(route: Route, path: str, query: Lines, stated: Lines) -> list[str]:
    """Why the request may not be carried out, whatever else is right or wrong with it."""
    found = []
    names = [name for name, _ in query]
    found += [f"nobody takes {name!r}" for name in names if name not in route.taken]
    found += [f"{name!r} comes twice" for name in set(names) if names.count(name) > 1]
    fields = [name.lower() for name, _ in stated]
    found += [f"nobody evaluates {name}" for name in fields if name in _CONDITIONS - route.evaluated]
    found += ["two keys"] if fields.count("idempotency-key") > 1 else []
    found += ["an expectation"] if ("Expect", "a-receipt") in stated else []
    found += (
        ["an encoding"]
        if any(name == "content-encoding" for name in fields if ("Content-Encoding", "identity") not in stated)
        else []
    )
    escaped = path.lower()
    found += [f"a path with {part}" for part in ("%2f", "%5c", "%00", "%0a") if part in escaped]
    return found
