"""Starts that fail end with one line and what to do, and no start leaves anything behind."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kinfold.local.child import stop
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

RUN: Final = ("projector", "run", "--port", "0")
#: A folder in which nobody can make anything, not even root.
READ_ONLY: Final = "/proc"


@pytest.fixture
def temporary(child_env: dict[str, str], tmp_path: Path) -> Path:
    """The folder for temporary files of every process that the test starts."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    child_env["TMPDIR"] = str(folder)
    return folder


@pytest.fixture
def start(child_env: dict[str, str]) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start ``kinfold ...``, its output in a pipe; what still runs in the end is stopped."""
    with contextlib.ExitStack() as cleanup:

        def started(*words: str, **options: Any) -> "subprocess.Popen[str]":
            command = [sys.executable, "-m", "kinfold", *words]
            process = cleanup.enter_context(
                subprocess.Popen(
                    command, env=child_env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
                )
            )
            cleanup.callback(process.kill)
            return process

        yield started


def said_until(process: "subprocess.Popen[str]", word: str) -> str:
    """What a process says until a line that has the word."""
    assert process.stdout is not None
    said = ""
    while word not in said:
        line = process.stdout.readline()
        assert line, f"it ended without {word!r}: {said}"
        said += line
    return said


def failure(process: "subprocess.Popen[str]", code: int) -> str:
    """The last line of a process that ends with an exit code and without a traceback."""
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert said.count("kinfold: ") == 1, said
    last = said.splitlines()[-1]
    assert last.startswith("kinfold: "), said
    return last


def write_no_file() -> None:
    """As where every file system is full or read-only."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("consumer", ["polling", "kcl"])
def test_a_projector_runs_in_a_folder_that_cannot_be_written(
    bridge: None, start: Callable[..., "subprocess.Popen[str]"], child_env: dict[str, str], consumer: str
) -> None:
    child_env["KINFOLD_CONSUMER"] = consumer
    process = start(*RUN, cwd=READ_ONLY)
    said_until(process, "Reading shard")
    assert stop(process, 40) == 0  # type: ignore[arg-type]


def test_a_projector_runs_in_a_folder_that_is_gone(
    bridge: None, start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()

    def leave() -> None:
        os.chdir(tmp_path / "gone")
        os.rmdir(tmp_path / "gone")

    process = start(*RUN, preexec_fn=leave)
    said_until(process, "Reading shard")
    assert stop(process, 40) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("consumer", ["polling", "kcl"])
def test_a_projector_leaves_no_folder(
    bridge: None,
    start: Callable[..., "subprocess.Popen[str]"],
    child_env: dict[str, str],
    temporary: Path,
    tmp_path: Path,
    consumer: str,
) -> None:
    child_env["KINFOLD_CONSUMER"] = consumer
    here = tmp_path / "here"
    here.mkdir()
    process = start(*RUN, cwd=here)
    said_until(process, "Reading shard")
    assert list(here.iterdir()) == []
    assert stop(process, 40) == 0  # type: ignore[arg-type]
    assert [*here.iterdir(), *temporary.iterdir()] == []


@pytest.mark.parametrize("cwd", [READ_ONLY, None])
def test_up_and_demo_leave_no_folder_and_need_none_that_can_be_written(
    start: Callable[..., "subprocess.Popen[str]"],
    child_env: dict[str, str],
    temporary: Path,
    tmp_path: Path,
    cwd: str | None,
) -> None:
    del child_env["AWS_ENDPOINT_URL"]
    here = tmp_path / "here"
    here.mkdir()
    demo = start("demo", "--aggregates", "3", "--events", "20", cwd=cwd or here)
    said, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0, said
    assert [*here.iterdir(), *temporary.iterdir()] == []
    ports = ("--writer-port", "0", "--projector-port", "0", "--bridge-port", "0", "--no-console")
    up = start("up", *ports, cwd=cwd or here)
    said_until(up, "Ctrl-C stops everything")
    assert list(here.iterdir()) == []
    up.send_signal(signal.SIGINT)
    said, _ = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0, said
    assert [*here.iterdir(), *temporary.iterdir()] == []


@pytest.mark.parametrize("words", [("demo",), ("up", "--writer-port", "0"), RUN], ids=" ".join)
def test_without_any_folder_for_temporary_files_the_setting_is_named(
    bridge: None, start: Callable[..., "subprocess.Popen[str]"], child_env: dict[str, str], words: tuple[str, ...]
) -> None:
    child_env["KINFOLD_CONSUMER"] = "kcl"
    if words != RUN:
        del child_env["AWS_ENDPOINT_URL"]
    assert "TMPDIR" in failure(start(*words, preexec_fn=write_no_file, cwd=READ_ONLY), 2)


@pytest.mark.parametrize("words", [RUN, ("bridge", "relay", "--port", "0")], ids=" ".join)
def test_a_stream_that_is_missing_is_waited_for_and_then_named(
    bridge: None,
    start: Callable[..., "subprocess.Popen[str]"],
    clients: Clients,
    names: Names,
    child_env: dict[str, str],
    words: tuple[str, ...],
) -> None:
    clients.kinesis.delete_stream(StreamName=names.stream)
    child_env["KINFOLD_ENDPOINT_TIMEOUT"] = "1"
    said = failure(start(*words), 1)
    assert names.stream in said
    assert "`kinfold bridge ensure` creates what is missing" in said


@pytest.mark.parametrize("consumer", ["polling", "kcl"])
def test_what_aws_refuses_at_the_start_ends_it_with_one_line(
    bridge: None,
    start: Callable[..., "subprocess.Popen[str]"],
    clients: Clients,
    names: Names,
    child_env: dict[str, str],
    consumer: str,
) -> None:
    """A table of leases with another key than KCL's."""
    child_env["KINFOLD_CONSUMER"] = consumer
    clients.dynamodb.delete_table(TableName=names.leases)
    key: Any = {"AttributeName": "other", "AttributeType": "S"}
    clients.dynamodb.create_table(
        TableName=names.leases,
        AttributeDefinitions=[key],
        KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    until(lambda: clients.dynamodb.describe_table(TableName=names.leases)["Table"]["TableStatus"] == "ACTIVE")
    said = failure(start(*RUN), 1)
    assert names.stream in said
    assert "ValidationException" in said


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("OSError(28, 'No space left on device', 'state')", "[Errno 28] No space left on device: 'state'; correct"),
        ("RuntimeError('a fault of ours')", "RuntimeError('a fault of ours'); correct"),
    ],
)
def test_whatever_fails_while_faust_starts_is_one_line_and_no_success(
    bridge: None, child_env: dict[str, str], fault: str, said: str
) -> None:
    script = (
        "import kinfold.cli, projector.app\n"
        f"async def fail(app): raise {fault}\n"
        "projector.app._App.on_first_start = fail\n"
        "kinfold.cli.main()\n"
    )
    command = [sys.executable, "-c", script, *RUN]
    with subprocess.Popen(
        command, env=child_env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert f"the projector cannot start: {said}" in failure(process, 1)
