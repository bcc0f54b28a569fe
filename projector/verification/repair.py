"""Rewrites rows that no prefix folds to, beside running workers.

A row is rewritten on the condition that every attribute is still as it was read, and its revision is raised. A worker
may hold the wrong row in its cache; its next write names the revision that it read, so it is refused, and the worker
reads again: the wrong state cannot come back, even where the version stays the same.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aws_client.tables import unchanged, write_if
from ledger.runtime.aws import aws_errors
from projector.engine.read_model import ReadModel
from projector.ingest.feeder import Feeder
from projector.verification.comparison import Compared, RowDifference

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: What a row that lacks it may be given by a worker, an operator or another repair.
_GIVEN: Final = ("aggregateId", "version", "halted", "revision")


class CatchUp:
    """Catches up aggregates that are behind, and touches no row that is wrong. Safe to share between threads."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._lock = threading.Lock()

    def repair(self, compared: Compared[Any]) -> str:
        """Fold an aggregate that is behind up to the version that was stored when it was compared."""
        if compared.kind not in {"behind", "missing"} or compared.stored == 0:
            return ""
        with self._lock:
            self._feeder.catch_up(compared.aggregate_id, compared.stored)
        return "folded on"


class Repair:
    """Rewrites wrong, missing and extra rows, then catches the aggregate up. Safe to share between threads.

    A halted aggregate keeps its halt and its version; a redrive, or a skip, takes it further. Raises ThrottledError,
    EndpointError, ResourceError or StormError.
    """

    def __init__(self, dynamodb: "DynamoDBClient", model: ReadModel[Any], feeder: Feeder) -> None:
        self._dynamodb = dynamodb
        self._model = model
        self._feeder = feeder
        self._catch_up = CatchUp(feeder)

    def repair(self, compared: Compared[Any]) -> str:
        """Repair one aggregate, except rows that were written to since it was compared."""
        if compared.kind not in {"wrong", "extra"}:
            return self._catch_up.repair(compared)
        rewritten = [self._write(compared.aggregate_id, difference) for difference in _heads_last(compared.differences)]
        if compared.kind == "wrong" and compared.stored and compared.halted is None:
            # A worker may have passed by what came meanwhile, since it could not read the row.
            stored = self._feeder.stored(compared.aggregate_id)
            self._catch_up.repair(replace(compared, kind="behind", stored=stored))
        if not all(rewritten):
            return "somebody else wrote to it meanwhile"
        return "deleted" if compared.kind == "extra" else "rewritten"

    def _write(self, aggregate_id: str, difference: RowDifference[Any]) -> bool:
        """Put what is expected in the place of what was read. Returns False when it is no longer what was read."""
        found = difference.found.item if difference.found else {}
        request = {"TableName": self._model.table, **unchanged(found, dict.fromkeys((*found, *_GIVEN)))}
        with aws_errors(f"repairing aggregate {aggregate_id} in {self._model.table}"):
            if difference.expected is None:
                key = self._model.key(aggregate_id, difference.part)
                return write_if(self._dynamodb.delete_item, Key=key, **request)
            row = replace(difference.expected, revision=_revision(difference) + 1)
            return write_if(self._dynamodb.put_item, Item=self._model.image(row) | _halt(difference), **request)


def _halt(difference: RowDifference[Any]) -> dict[str, Any]:
    """The row's halt, unchanged; none where it cannot be read."""
    found = difference.found
    return {"halted": found.item["halted"]} if found and found.row and found.row.halted else {}


def _revision(difference: RowDifference[Any]) -> int:
    if difference.found is None or "revision" not in difference.found.item:
        return 0
    value = difference.found.item["revision"].get("N", "0")
    return int(value) if str(value).isdigit() else 0


def _heads_last(differences: Sequence[RowDifference[Any]]) -> list[RowDifference[Any]]:
    """Parts before their head, as the engine writes them; HEAD sorts before every part."""
    return sorted(differences, key=lambda difference: difference.part, reverse=True)
