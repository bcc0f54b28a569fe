"""The weather of a run: how slow and how unkind the network and AWS are, drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from simulation.aws.errors import AwsError, cancelled
from simulation.aws.wire.network import Fate, Request

#: What of a batch is carried out, and what is added to its answer for the rest.
Partial = tuple[Request, Callable[[dict[str, Any]], None]]

_TRANSACTION: Final = "dynamodb.TransactWriteItems"
_PUT: Final = "kinesis.PutRecords"
#: Seconds: the relay rests on it that a put which it gave up is not that much later than its lease.
_PUT_LATE: Final = 0.5
_BATCHES: Final = {
    "dynamodb.BatchGetItem": "RequestItems",
    "dynamodb.BatchExecuteStatement": "Statements",
    "kinesis.PutRecords": "Records",
}
_THROTTLE: Final = AwsError("ProvisionedThroughputExceededException", "simulated throttle")
_FAULT: Final = AwsError("InternalServerError", "simulated fault", status=500)
_REFUSALS: Final = {"throttle": _THROTTLE, "fault": _FAULT}


@dataclass(frozen=True, slots=True)
class Climate:
    """The odds of each fault, a call, and the seconds that a way takes; ``storms``: odds that a call is slow."""

    throttle: float = 0.0
    fault: float = 0.0
    unreachable: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    contended: float = 0.0
    partial: float = 0.0
    latency: float = 0.01
    slow: float = 0.0
    slowness: float = 3.0

    @classmethod
    def drawn(cls, random: Random) -> Climate:
        """A climate: each kind of fault is absent in many runs, rare in most, and frequent in a few."""

        def odds(worst: float) -> float:
            return random.choice((0.0, 0.0, worst / 20, worst / 5, worst))

        return cls(
            throttle=odds(0.2),
            fault=odds(0.1),
            unreachable=odds(0.1),
            lost=odds(0.1),
            late=odds(0.05),
            contended=odds(0.2),
            partial=odds(0.3),
            latency=random.choice((0.002, 0.01, 0.05)),
            slow=odds(0.1),
            slowness=random.choice((0.5, 3.0, 12.0)),
        )


class SeededWeather:
    """Draws the fate of each call; after ``clear`` every call goes through at once."""

    def __init__(self, random: Random, climate: Climate) -> None:
        self._random = random
        self._begin(climate)

    def clear(self) -> None:
        """No more faults."""
        self._begin(Climate(latency=self._climate.latency))

    def _begin(self, climate: Climate) -> None:
        self._climate = climate
        odds = [(fault, getattr(climate, fault)) for fault in ("throttle", "fault", "unreachable", "lost", "late")]
        self._faults = [(fault, each) for fault, each in odds if each]

    def fate(self, operation: str, request: Request) -> Fate:
        """See `Weather.fate`."""
        random, odds = self._random, self._climate
        out = random.random() * odds.latency
        # Half of the answers come at once: between them and what they tell, nobody else gets a turn.
        back = max(0.0, random.random() - 0.5) * 2 * odds.latency
        if odds.slow and random.random() < odds.slow:
            out += random.random() * odds.slowness
        drawn = random.random()
        for fault, each in self._faults:
            if drawn < each:
                late = random.random() * (10 if operation != _PUT else _PUT_LATE)
                return _struck(fault, out, back, late)
            drawn -= each
        if operation == _TRANSACTION and random.random() < odds.contended:
            return Fate(out, back, refused=_conflict(len(request["TransactItems"]), random))
        return Fate(out, back)

    def partial(self, operation: str, request: Request) -> Partial | None:
        """See `Weather.partial`."""
        if operation not in _BATCHES or not self._climate.partial or self._random.random() >= self._climate.partial:
            return None
        partial: Partial | None = _PARTIAL[operation](request, self._random)
        return partial


def _struck(fault: str, out: float, back: float, late: float) -> Fate:
    if fault in _REFUSALS:
        return Fate(out, back, refused=_REFUSALS[fault])
    if fault == "late":
        return Fate(out, late=late)
    return Fate(out, unreachable=fault == "unreachable", lost=fault == "lost")


def _conflict(actions: int, random: Random) -> AwsError:
    reasons = [{"Code": "None"} for _ in range(actions)]
    reasons[random.randrange(actions)] = {"Code": "TransactionConflict", "Message": "simulated conflict"}
    return cancelled(reasons)


def _some_keys(request: Request, random: Random) -> Partial | None:
    asked: Request = {}
    left: Request = {}
    for table, part in request["RequestItems"].items():
        chosen = [random.random() < 0.5 for _ in part["Keys"]]
        for target, wanted in ((asked, True), (left, False)):
            keys = [key for key, each in zip(part["Keys"], chosen, strict=True) if each is wanted]
            if keys:
                target[table] = {**part, "Keys": keys}

    if not asked:
        return None

    def complete(answer: dict[str, Any]) -> None:
        answer["UnprocessedKeys"] = left
        for table in request["RequestItems"]:
            answer["Responses"].setdefault(table, [])

    return {**request, "RequestItems": asked}, complete


def _some_puts(request: Request, random: Random) -> Partial | None:
    asked: Request = {}
    left: Request = {}
    for table, puts in request["RequestItems"].items():
        chosen = [random.random() < 0.5 for _ in puts]
        for target, wanted in ((asked, True), (left, False)):
            if some := [put for put, each in zip(puts, chosen, strict=True) if each is wanted]:
                target[table] = some
    return ({**request, "RequestItems": asked}, lambda answer: answer.update(UnprocessedItems=left)) if asked else None


def _some_of(member: str, answers: str, refusals: tuple[dict[str, Any], ...]) -> Callable[..., Any]:
    def partial(request: Request, random: Random) -> Partial | None:
        chosen = [random.random() < 0.5 for _ in request[member]]
        if not any(chosen):
            return None
        refusal = random.choice(refusals)

        def complete(answer: dict[str, Any]) -> None:
            given = iter(answer[answers])
            answer[answers] = [next(given) if each else dict(refusal) for each in chosen]
            if "FailedRecordCount" in answer:
                answer["FailedRecordCount"] = chosen.count(False)

        return {
            **request,
            member: [each for each, wanted in zip(request[member], chosen, strict=True) if wanted],
        }, complete

    return partial


_STATEMENT_REFUSALS: Final = tuple(
    {"Error": {"Code": code, "Message": "simulated"}}
    for code in ("ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict", "InternalServerError")
)
_RECORD_REFUSALS: Final = tuple(
    {"ErrorCode": code, "ErrorMessage": "simulated"}
    for code in ("ProvisionedThroughputExceededException", "InternalFailure")
)
_PARTIAL: Final[dict[str, Callable[..., Any]]] = {
    "dynamodb.BatchGetItem": _some_keys,
    "dynamodb.BatchWriteItem": _some_puts,
    "dynamodb.BatchExecuteStatement": _some_of("Statements", "Responses", _STATEMENT_REFUSALS),
    "kinesis.PutRecords": _some_of("Records", "Records", _RECORD_REFUSALS),
}
