"""The file that tells other commands what runs: whose it may be, for how long it is believed, and who may be second."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from kinfold.local import running
from kinfold.local.process_identity import identity
from kinfold.local.running import AlreadyRunningError, Running, Seen, claimed, look, place
from ledger.errors import ConfigurationError

ENDPOINT = "http://127.0.0.1:4566"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def left() -> Path:
    """A good file of this process, as its command has left it."""
    with claimed("up", "local") as claim:
        claim.publish(ENDPOINT, "us-east-1", {"writer": "http://127.0.0.1:8080"})
        text = place("up", "local").read_bytes()
    place("up", "local").write_bytes(text)
    place("up", "local").chmod(0o600)
    return place("up", "local")


def test_what_runs_is_found_while_it_runs_and_by_its_own_profile_alone(home: Path) -> None:
    assert look("up", "local") == Seen()
    with claimed("up", "local") as claim:
        starting = look("up", "local").running
        assert (starting and starting.endpoint) is None
        claim.publish(ENDPOINT, "eu-west-1", {"writer": "http://w"}, {"KINFOLD_DOMAIN": "loyalty"})
        found = look("up", "local").running
        assert found is not None
        assert (found.endpoint, found.region, found.pid) == (ENDPOINT, "eu-west-1", os.getpid())
        assert (found.services, found.settings) == ({"writer": "http://w"}, {"KINFOLD_DOMAIN": "loyalty"})
        assert look("up", "other") == look("aws", "local") == look("up", "../local") == Seen()
        assert stat.S_IMODE(place("up", "local").stat().st_mode) == 0o600
        assert stat.S_IMODE(place("up", "local").parent.stat().st_mode) == 0o700
    assert look("up", "local") == Seen()
    assert [each.name for each in place("up", "local").parent.iterdir()] == [".lock"]


def test_a_second_one_of_the_same_profile_is_refused_and_leaves_the_firsts_file() -> None:
    with claimed("up", "local"):
        with pytest.raises(AlreadyRunningError, match=rf"pid {os.getpid()}.*--profile"), claimed("up", "local"):
            pytest.fail("it began")
        assert look("up", "local").running is not None
        with claimed("up", "other"), claimed("aws", "local"):
            pass


def test_an_error_in_the_block_leaves_no_file() -> None:
    with pytest.raises(ZeroDivisionError), claimed("up", "local"):
        _ = 1 / 0
    assert look("up", "local") == Seen()


def test_the_file_of_a_killed_process_is_ignored_and_replaced(home: Path) -> None:
    script = (
        "import os, signal\nfrom kinfold.local.running import claimed\n"
        f"with claimed('up', 'local') as claim:\n    claim.publish('{ENDPOINT}', 'us-east-1', {{}})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    seen = look("up", "local")
    assert seen.running is None
    assert "has ended without a word" in str(seen.ignored)
    assert str(place("up", "local")) in str(seen.ignored)
    with claimed("up", "local"):
        assert look("up", "local").running is not None


def test_the_file_of_a_process_whose_id_another_has_now_is_ignored(left: Path) -> None:
    found = msgspec.json.decode(left.read_bytes(), type=Running)
    assert look("up", "local").running == found
    left.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, began=f"{found.began}0")))
    assert look("up", "local").running is None
    # Nor does this process take the file of the former one for its own.
    left.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, pid=1)))
    assert look("up", "local").running is None


def test_a_process_that_nobody_waited_for_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert identity(process.pid) not in {None, identity(os.getpid())}
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identity(process.pid) is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_to_is_ignored(left: Path, mode: int) -> None:
    left.chmod(mode)
    seen = look("up", "local")
    assert seen.running is None
    assert "others may write" in str(seen.ignored)


def test_a_folder_that_others_may_write_to_is_ignored_and_no_file_is_left_in_it(
    left: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left.parent.chmod(0o777)
    assert look("up", "local").running is None
    left.unlink()
    with claimed("up", "local") as claim:
        claim.publish(ENDPOINT, "us-east-1", {})
        assert not left.exists()
    assert "others may write" in capsys.readouterr().err


def test_a_symbolic_link_is_not_followed(left: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "planted"
    left.rename(elsewhere)
    left.symlink_to(elsewhere)
    seen = look("up", "local")
    assert (seen.running, "is ignored" in str(seen.ignored)) == (None, True)
    # Nor a link in place of the folder.
    left.unlink()
    folder = left.parent.rename(tmp_path / "folder")
    elsewhere.rename(folder / left.name)
    left.parent.symlink_to(folder)
    assert "no plain file or folder" in str(look("up", "local").ignored)


def test_another_users_file_is_ignored(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.os, "geteuid", lambda: os.getuid() + 1)  # type: ignore[attr-defined]
    assert "another user" in str(look("up", "local").ignored)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b"[1]", b"\xff", b'{"command":"up"', b"x" * 100_000,
        b'{"command":"up","profile":"local","pid":"1","began":"","since":""}',
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_ignored(left: Path, text: bytes) -> None:
    left.write_bytes(text)
    seen = look("up", "local")
    assert (seen.running, "is ignored" in str(seen.ignored)) == (None, True)


@pytest.mark.parametrize("change", [{"endpoint": "file:///etc"}, {"services": {"writer": "x"}}, {"profile": "prod"}])
def test_a_file_that_leads_elsewhere_is_ignored(left: Path, change: dict[str, object]) -> None:
    found = msgspec.json.decode(left.read_bytes(), type=Running)
    left.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, **change)))
    assert look("up", "local").running is None


def test_without_a_place_for_the_file_the_block_runs_and_it_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".local").write_text("a file in the way")
    with claimed("up", "local") as claim:
        claim.publish(ENDPOINT, "us-east-1", {})
    assert "AWS_ENDPOINT_URL" in capsys.readouterr().err


def test_who_has_no_home_finds_nothing_and_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user id without an entry
    assert look("up", "local") == Seen()
    monkeypatch.setenv("HOME", "/dev/null")
    assert look("up", "local") == Seen()


def test_what_is_no_profile_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="KINFOLD_PROFILE"), claimed("aws", "../etc"):
        pytest.fail("it began")
