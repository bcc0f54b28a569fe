"""Whole runs: reproducible to the byte, judged by the invariants, and made short when they fail."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.plan import Plan
from simulation.shrink import shrink
from tests.support.waiting import PATIENCE


def simulate(*arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "simulation", *arguments], capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout


def test_a_seed_gives_the_same_trace_to_the_byte_in_another_process() -> None:
    first, second = (simulate("--seed", "11", "--trace") for _ in range(2))
    assert first == second
    assert first[0] == 0
    assert len(first[1].splitlines()) > 300


def test_a_trace_changes_nothing() -> None:
    # Seed 10 archives bets, by a call that no other one is like.
    traced, alone = simulate("--seed", "10", "--trace")[1], simulate("--first", "10", "--seeds", "1")[1]
    assert "BatchWriteItem" in traced
    assert f"{int(traced.strip().splitlines()[-1].split()[0]):,} AWS calls" in alone


def test_seeds_are_shared_by_the_processes_and_add_up() -> None:
    code, out = simulate("--seeds", "4", "--jobs", "2")
    assert code == 0
    assert out.startswith("4 runs, ")
    assert "0 violations" in out


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_ctrl_c_ends_every_process_and_says_what_was_done() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "simulation", "--seeds", "1000000", "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as command:
        assert command.stderr is not None
        assert [command.stderr.readline()[:6] for _ in range(2)] == ["seeds ", "1 runs"]
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        os.killpg(command.pid, signal.SIGINT)
        out, err = command.communicate(timeout=PATIENCE)
    assert command.returncode == 130, err
    assert "Traceback" not in err
    assert out.splitlines()[-1].endswith(" violations")
    assert len(children) == 2
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_the_command_teaches(capfd: pytest.CaptureFixture[str]) -> None:
    code, out = simulate("--help")
    assert code == 0
    assert "--trace" in out
    assert "invariant" in out


def test_a_plan_is_made_as_small_as_its_failure_allows() -> None:
    plan = next(plan for plan in map(Plan.drawn, range(1000)) if len(plan.disturbances) == 8 and plan.projectors == 3)
    needed = plan.disturbances[3]
    attempts = 0

    def fails(smaller: Plan) -> bool:
        nonlocal attempts
        attempts += 1
        return needed in smaller.disturbances and smaller.projectors >= 2

    small = shrink(plan, fails, attempts=500)
    assert small.disturbances == (needed,)
    assert (small.projectors, small.writers, small.accounts, small.skew, small.climate.throttle) == (2, 1, 1, 0.0, 0.0)
    assert attempts < 500
    assert shrink(plan, fails, attempts=0) == plan
