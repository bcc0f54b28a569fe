"""The peers' handlers: the same arithmetic as the account's own fold, once for the marked one."""

import ast
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench.contest.contest import folded
from bench.contest.workloads import WORKLOADS
from bench.metering import meter
from bench.peers.balances import Change, addition, addition_once, change_of
from bench.peers.kclpy import combined
from ledger.store.change_record import encode


def test_the_sums_of_the_changes_are_the_folds() -> None:
    deliveries = list(WORKLOADS["skewed"].deliveries(2_000, 3))
    sums: dict[str, Decimal] = {}
    kinds = set()
    for each in deliveries:
        kinds.add(each.event.event_type)
        change = change_of(encode(each.event, "domain-events-test", "us-east-1"))
        assert (change.account, change.number) == (each.event.aggregate_id, str(each.event.sequence_number))
        sums[change.account] = sums.get(change.account, Decimal(0)) + change.amount
    assert len(kinds) == 4
    assert sums == folded(deliveries)


def test_the_requests() -> None:
    change = Change("alice", "7", Decimal("-1.50"))
    add = addition("balances", change)
    assert add["Key"] == {"aggregateId": {"S": "alice"}}
    assert add["ExpressionAttributeValues"] == {":amount": {"N": "-1.50"}}
    marker, update = addition_once("balances", "markers", change)
    assert marker["Put"]["Item"] == {"eventId": {"S": "alice#7"}}
    assert marker["Put"]["ConditionExpression"] == "attribute_not_exists(eventId)"
    assert update == {"Update": add}


BENCH = Path(meter.__file__).parents[1]


@pytest.mark.parametrize(
    "path",
    [*sorted(BENCH.glob("peers/*.py")), *sorted(BENCH.glob("metering/*.py"))],
    ids=lambda path: path.name,
)
def test_a_peer_has_no_code_of_kinfold_in_it(path: Path) -> None:
    own = {"bench.metering.meter", "simulation.aws.tables.values"}
    for name in imported(path):
        assert name in own or name.startswith("bench.peers.") or name.split(".")[0] not in KINFOLD, name


ROOT = BENCH.parent
KINFOLD = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"tests"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_the_peers_environment_has_all_that_its_peer_imports() -> None:
    pinned = set(re.findall(r"(?m)^([\w-]+)==", (ROOT / "requirements-bench.lock").read_text()))
    waiting, seen = [BENCH / "peers" / "async_kinesis.py"], set[Path]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for name in imported(path):
            module, top = ROOT / f"{name.replace('.', '/')}.py", name.split(".")[0]
            if module.exists():
                waiting += {module} - seen
            elif top not in sys.stdlib_module_names:
                assert {"kinesis": "async-kinesis"}.get(top, top) in pinned, f"{path.name} imports {name}"
    assert BENCH / "metering" / "meter.py" in seen


def test_reports_of_several_processes_become_one() -> None:
    def report(began: float, ended: float, **calls: int) -> dict[str, Any]:
        none: dict[str, int] = {}
        figures = {"handled": 10, "cpu_seconds": 0.5, "peak_mb": 60.0}
        units = {"refused": none, "read_units": none, "write_units": {"rows": 10.0}}
        return {"began_at": began, "ended_at": ended, "calls": calls, **figures, **units}

    one = combined([report(5.0, 7.0, UpdateItem=10), report(4.0, 6.5, UpdateItem=10, PutItem=1)])
    assert (one["seconds"], one["handled"], one["cpu_seconds"], one["peak_mb"]) == (3.0, 20, 1.0, 120.0)
    assert one["calls"] == {"UpdateItem": 20, "PutItem": 1}
    assert one["write_units"] == {"rows": 20.0}
