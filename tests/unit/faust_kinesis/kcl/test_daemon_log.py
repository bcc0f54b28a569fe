"""KCL's log at our levels, without payloads."""

import logging

import pytest

from faust_kinesis.kcl.processes.daemon_log import DaemonLog, logback_configuration


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("ERROR\tProcessTask\tshardId-0\tit broke", logging.ERROR, "KCL ProcessTask: it broke"),
        ("WARN\tLease\t-\tcareful", logging.WARNING, "KCL Lease: careful"),
        ("INFO\tLease\t-\ttaken", logging.DEBUG, "KCL Lease: taken"),
        ("OpenJDK warning: something", logging.WARNING, "KCL java: OpenJDK warning: something"),
        ("ERROR\thalf a line", logging.WARNING, "KCL java: ERROR\thalf a line"),
    ],
)
def test_levels(line: str, level: int, text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    DaemonLog("orders", "w1").forward(line)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, text)]


def test_complaints_at_a_stop_are_information(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lines = DaemonLog("orders", "w1")
    lines.stopping = True
    lines.forward("ERROR\tProcessTask\t-\tinterrupted")
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_messages_with_records_in_them_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    lines = DaemonLog("orders", "w1")
    lines.forward('ERROR\tMultiLang\ts\tCannot write message {"data":"c2VjcmV0"} because writer is closed')
    lines.forward(
        'INFO\tGetNextMessageTask\ts\tSkipping unexpected line on STDOUT for shard shardId-0: {"a":"c2VjcmV0"}'
    )
    assert "c2VjcmV0" not in caplog.text + lines.complaints
    assert lines.complaints.count("(left out)") == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]


def test_a_flood_is_cut_and_only_the_last_errors_are_remembered() -> None:
    lines = DaemonLog("orders", "w1")
    for number in range(10):
        lines.forward(f"ERROR\tX\t-\t{number}" + "y" * 5000)
    assert len(lines.complaints) < 2000
    assert lines.complaints.startswith("X: 7")


def test_kcl_writes_its_info_only_for_our_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "faust_kinesis.kcl.processes.daemon_log")
    assert '<root level="WARN">' in logback_configuration()
    caplog.set_level(logging.DEBUG, "faust_kinesis.kcl.processes.daemon_log")
    assert '<root level="INFO">' in logback_configuration()
