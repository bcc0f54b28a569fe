"""A second terminal beside `kinfold up`: its commands find what runs, whatever else its environment says.

Real processes with a home of their own. The endpoint is a proxy that notes whose credentials requests are signed with.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from kinfold.inspection.live_view import INTERRUPTED
from tests.acceptance.local.two_terminals import PORTS, Terminals, two_terminals
from tests.support.aws.fault_proxy import FaultProxy
from tests.support.terminals import Typed, on_terminal
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

ROOT = Path(__file__).parents[3]
#: What another shell may have set for AWS itself.
REAL = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "session",
    "AWS_PROFILE": "no-such-profile",
    "AWS_REGION": "eu-central-1",
}


@pytest.fixture(scope="module")
def proxy(aws_endpoint: str) -> Iterator[FaultProxy]:
    with FaultProxy(aws_endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def up(aws_endpoint: str, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminals]:
    with two_terminals(aws_endpoint, tmp_path_factory.mktemp("second"), through=proxy.url) as running:
        yield running


@pytest.fixture(scope="module")
def loaded(up: Terminals) -> str:
    """The key of an aggregate of a load that was sent without a URL, folded by now."""
    code, out, err = up.kinfold("load", "--events", "40", "--aggregates", "4", "--writers", "2", "--json")
    assert code == 0, err
    assert json.loads(out)["url"] == up.announced["writer"]
    code, out, err = up.kinfold("projector", "verify", "--wait", "60")
    assert code == 0, out + err
    return f"{json.loads(up.kinfold('events', '-n', '1', '--json')[1])['aggregateId']}"


def test_real_credentials_of_the_second_terminal_do_not_reach_the_emulator(up: Terminals, proxy: FaultProxy) -> None:
    code, _, err = up.kinfold("projector", "status", **REAL)
    assert code == 0, err
    assert proxy.credentials == {"test"}


def test_health_is_asked_of_every_service(up: Terminals) -> None:
    code, out, err = up.kinfold("health")
    assert code == 0, err
    assert all(f"{up.announced[name]}/ready" in out for name in ("writer", "projector", "watch"))


def test_the_projectors_commands_need_nothing_more(up: Terminals, proxy: FaultProxy, loaded: str) -> None:
    assert up.kinfold("projector", "dead-letters", "list")[0] == 0
    code, out, err = up.kinfold("bridge", "status", "--sample", "0")
    assert code == 0, err
    assert proxy.url in out
    assert proxy.url in err, "who does not use profile local is told where a command goes"


def test_an_account_is_shown_as_its_events_and_each_read_model_have_it(up: Terminals, loaded: str) -> None:
    code, out, err = up.kinfold("account", loaded, "--json", "--last", "2")
    assert code == 0, err
    found = json.loads(out)
    (summary,) = [each for each in found["readModels"] if each["name"] == "balance-summary"]
    assert summary["row"]["balance"] == found["state"]["balance"]
    assert [each["version"] for each in found["readModels"]] == [found["version"]] * 2
    assert [each["sequenceNumber"] for each in found["events"]] == [found["version"] - 1, found["version"]]
    assert found["advice"] == []
    code, out, _ = up.kinfold("account", loaded)
    assert code == 0
    assert found["state"]["balance"] in out
    assert "all agree" in out.splitlines()[-1]
    code, _, err = up.kinfold("account", "nobody")
    assert (code, "nobody" in err, "Traceback" in err) == (1, True, False)


def test_the_readme_leads_from_a_bad_deploy_to_a_redriven_account(up: Terminals) -> None:
    (text,) = re.findall(r"A bad deploy .*?```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    deposit(up, "alice")
    run = {"python": sys.executable, "kinfold": f"{sys.executable} -m kinfold"}
    commands = re.sub(r"\.venv/bin/(\w+)", lambda found: run[found[1]], text)
    ran = subprocess.run(
        ["bash", "-exc", commands], env=up.env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "event 2 of alice is unreadable; the projector says: payload of FundsDeposited" in ran.stdout
    assert "event 2 of alice is mended; the projector says: a MODIFY of an event" in ran.stdout
    code, out, err = up.kinfold("projector", "verify", "--wait", "60")
    assert code == 0, out + err
    code, out, _ = up.kinfold("account", "alice", "--json")
    found = json.loads(out)
    assert (code, found["version"], found["state"]["balance"], found["advice"]) == (0, 2, "11.00", [])
    assert up.kinfold("projector", "dead-letters", "list", "--json")[1] == ""


def deposit(up: Terminals, aggregate: str) -> None:
    url = f"{up.announced['writer']}/accounts/{aggregate}/deposits"
    assert httpx.post(url, json={"amount": "1.00", "currency": "EUR"}, trust_env=False).status_code == 201


@pytest.mark.parametrize("words", [("--json",), ("--aggregate", "zoe", "--json"), ()])
def test_events_are_followed_until_ctrl_c(up: Terminals, tmp_path: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "kinfold", "events", "--follow", *words]
    shown, errors = tmp_path / "shown", tmp_path / "errors"
    with (
        shown.open("w") as out,
        errors.open("w") as err,
        subprocess.Popen(command, env=up.env, stdout=out, stderr=err) as process,
    ):

        def seen() -> bool:
            # The first deposits may come before it looks: then it shows a later one.
            deposit(up, "zoe")
            return "\n" in shown.read_text()

        until(seen, why=errors.read_text)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == INTERRUPTED
    assert "Traceback" not in errors.read_text()
    first = shown.read_text().splitlines()[0]
    assert "zoe" in first
    assert "FundsDeposited" in first
    if "--json" in words:
        assert json.loads(first)["aggregateId"] == "zoe"


def test_top_prints_one_frame_into_a_pipe(up: Terminals, loaded: str) -> None:
    for words in (("top", "--once"), ("top",)):
        code, out, err = up.kinfold(*words)
        assert code == 0, out + err
        assert "appended" in out.splitlines()[0]
        assert "-/s" not in out.splitlines()[0], "writer and projector are those of `up`"
        assert "shardId-000000000000" in out
        assert out.splitlines()[-1] == "healthy"
        assert "\x1b" not in out


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("\x03", INTERRUPTED)])
def test_top_stays_on_a_terminal_until_it_is_ended(up: Terminals, loaded: str, key: str, code: int) -> None:
    command = [sys.executable, "-m", "kinfold", "top", "--every", "0.2"]
    ended, screen = on_terminal(command, up.env, typed=Typed(after="healthy", keys=key))
    assert ended == code
    assert "shardId-000000000001" in screen
    assert "healthy" in screen
    assert "Traceback" not in screen


def test_an_account_that_is_followed_on_a_terminal_leaves_one_frame_with_all_of_its_events(
    up: Terminals, loaded: str
) -> None:
    command = [sys.executable, "-m", "kinfold", "account", loaded, "--follow", "--last", "1"]
    ended, screen = on_terminal(command, up.env, typed=Typed(after="all agree", keys="\x03"))
    assert ended == INTERRUPTED
    assert screen.count("all agree on the version") == 1
    assert screen.count("according to") == 1
    assert screen.replace("\n", "").count('"schemaVersion"') == 1, "a long line is folded, and not cut"


def test_a_second_up_of_the_profile_is_refused_before_anything_starts(up: Terminals) -> None:
    code, out, err = up.kinfold("up", *PORTS)
    assert (code, out) == (6, "")
    assert f"pid {up.process.pid}" in err
    assert "--profile" in err
    assert "starts" not in err


def test_a_service_started_by_hand_is_connected_too(up: Terminals, proxy: FaultProxy, loaded: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kinfold", "projector", "run", "--port", "0"],
        env=up.env | {"KINFOLD_ACCESS": "off", "KINFOLD_WORKER_ID": "by-hand"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        said = ""
        while "serving" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read()
        assert process.wait(60) == 0, said
    assert proxy.url in said
    assert "[^" not in said, "Faust's steps are no news"


def test_the_output_of_up_has_no_step_of_the_framework_and_no_page_of_tables(up: Terminals) -> None:
    log = (Path(up.env["HOME"]) / "up.log").read_text()
    assert "projector | " in log
    assert "[^" not in log
    assert "created now" not in log


def test_another_profile_and_an_explicit_endpoint_are_left_alone(up: Terminals) -> None:
    code, _, err = up.kinfold("projector", "status", KINFOLD_PROFILE="local")
    assert (code, "nothing of this profile runs" in err) == (2, True)
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "mine"}
    code, _, err = up.kinfold("projector", "status", **env)
    assert (code, "http://127.0.0.1:1" in err) == (75, True)


def test_after_a_kill_the_next_command_says_what_is_the_matter(up: Terminals) -> None:
    up.process.kill()
    up.process.wait()
    for words in (("projector", "status"), ("top", "--once"), ("load", "--events", "1"), ("health",)):
        _, _, err = up.kinfold(*words, AWS_ACCESS_KEY_ID="mine", AWS_SECRET_ACCESS_KEY="mine", AWS_ENDPOINT_URL="")
        assert f"(pid {up.process.pid}, " in err, words
        assert "has ended without a word" in err
        assert "`kinfold up`" in err
        assert "Traceback" not in err


def test_up_takes_its_file_away_when_it_is_stopped(
    aws_endpoint: str, profile: str, clients: object, tmp_path: Path
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    env |= {"HOME": str(tmp_path), "KINFOLD_PROFILE": profile}
    command = [sys.executable, "-m", "kinfold", "up", "--quiet", "--endpoint-url", aws_endpoint, *PORTS]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        file = tmp_path / ".local" / "state" / "kinfold" / f"{profile}.up.json"
        assert file.exists()
        process.terminate()
        assert process.stderr.read() == "", "quiet: the URLs, and what is worse than news"
        assert process.wait(60) == 0
    assert not file.exists()


def test_an_aws_alone_is_found_by_commands_and_by_up(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    env |= {"HOME": str(tmp_path)}
    alone = [sys.executable, "-m", "kinfold", "aws", "--port", "0"]
    above = [sys.executable, "-m", "kinfold", "up", "--json", "--shards", "1", *PORTS]
    with ExitStack() as cleanup:
        aws = cleanup.enter_context(subprocess.Popen(alone, env=env, stdout=subprocess.PIPE, text=True))
        cleanup.callback(aws.kill)
        assert aws.stdout is not None
        printed = dict(word.split("=", 1) for word in aws.stdout.readline().split()[1:])
        code, err = _run(["bridge", "ensure", "--shards", "1"], env)
        assert code == 0, err
        with subprocess.Popen(above, env=env, stdout=subprocess.PIPE, text=True) as up:
            cleanup.callback(up.kill)
            assert up.stdout is not None
            assert json.loads(up.stdout.readline())["aws"] == printed["AWS_ENDPOINT_URL"]
            up.send_signal(signal.SIGINT)
            assert up.wait(60) == 0
        code, err = _run(["aws", "--port", "0"], env)
        assert (code, f"pid {aws.pid}" in err) == (6, True)
        aws.send_signal(signal.SIGTERM)
        assert aws.wait(60) == 0
    code, err = _run(["bridge", "status"], env)
    assert (code, "nothing of this profile runs" in err) == (2, True)


def _run(words: list[str], env: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "kinfold", *words]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return answer.returncode, answer.stderr
