"""The audit log: nothing begins that is not recorded, and a record says how it ended, or that it has no end."""

import pytest
import structlog.testing

from ledger.audit.audit_log import Action, AuditLog
from ledger.errors import ConfigurationError, ResourceError
from ledger.runtime.aws import Clients
from ledger.store.tables import Names

pytestmark = pytest.mark.integration


@pytest.fixture
def audit(clients: Clients, ledger_tables: Names) -> AuditLog:
    return AuditLog(clients.dynamodb, ledger_tables.audit)


def last(audit: AuditLog) -> Action:
    (action,) = audit.recent(1)
    return action


def test_what_is_done_is_recorded_before_it_begins_and_completed_when_it_ends(audit: AuditLog) -> None:
    with audit.recording("projector rebuild", {"segments": 4, "projection": ["a", "b"]}, by="ann@host") as details:
        running = last(audit)
        assert (running.by, running.action, running.parameters) == (
            "ann@host",
            "projector rebuild",
            {"segments": 4, "projection": ["a", "b"]},
        )
        assert (running.ended_at, running.exit_code) == (None, None)
        details["events"] = 7
    done = last(audit)
    assert (done.id, done.exit_code, done.said, done.details) == (running.id, 0, "", {"events": 7})
    assert done.ended_at is not None
    assert done.began_at < done.ended_at


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (ConfigurationError("set it"), 2, "set it"),
        (KeyboardInterrupt(), 130, ""),
        # What another error says may be anything, a payload too.
        (ValueError("amount 100.00 of alice"), 1, "ValueError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_fails_is_recorded_with_its_exit_code_and_what_was_found_until_then(
    audit: AuditLog, error: BaseException, exit_code: int, said: str
) -> None:
    def work() -> None:
        with audit.recording("projector verify", {}, by="ann") as details:
            details["wrong"] = 1
            raise error

    with pytest.raises(type(error)):
        work()
    ended = last(audit)
    assert (ended.exit_code, ended.said, ended.details) == (exit_code, said, {"wrong": 1})


def test_nothing_begins_that_cannot_be_recorded(clients: Clients, names: Names) -> None:
    begun = False
    with (
        pytest.raises(ResourceError, match="kinfold bridge ensure"),
        AuditLog(clients.dynamodb, names.audit).recording("bridge hold", {}, by="ann"),
    ):
        begun = True
    assert not begun


def test_work_whose_end_cannot_be_recorded_is_done_all_the_same_and_a_log_line_says_so(
    audit: AuditLog, clients: Clients, ledger_tables: Names
) -> None:
    with structlog.testing.capture_logs() as logs, audit.recording("bridge hold", {}, by="ann"):
        clients.dynamodb.delete_table(TableName=ledger_tables.audit)
    assert [line["event"] for line in logs] == ["end_not_recorded"]


def test_a_record_fits_an_item_whatever_it_is_about(audit: AuditLog) -> None:
    named = [f"{'x' * 3000}\udcff-{number}" for number in range(5000)]
    with audit.recording("bridge backfill", {"aggregate": named}, by="\udcff") as details:
        details["findings"] = [{"reason": text} for text in named]
    kept = last(audit)
    assert len(kept.parameters["aggregate"]) == 101
    assert kept.parameters["aggregate"][-1] == "... and 4900 more"
    assert kept.parameters["aggregate"][0].endswith("... (3008 characters)")
    assert len(kept.details["findings"]) == 101
    assert kept.by == "\\udcff"


def test_the_last_ones_are_found_first_page_by_page_and_by_what_was_done(audit: AuditLog) -> None:
    for number in range(5):
        with audit.recording("projector verify" if number % 2 else "bridge hold", {"number": number}, by="ann"):
            pass
    newest = audit.recent(2)
    assert [each.parameters["number"] for each in newest] == [4, 3]
    older = audit.recent(10, before=newest[-1].id)
    assert [each.parameters["number"] for each in older] == [2, 1, 0]
    assert [each.parameters["number"] for each in audit.recent(1, action="projector verify")] == [3]
