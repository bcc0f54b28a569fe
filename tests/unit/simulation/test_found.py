"""Seeds that have found a fault in the product, each since mended: every invariant holds."""

import subprocess
import sys

import pytest

FOUND = {
    5: "a projector fed a read model of a restored table before it knew that the table was another one",
    60: "a batch that had waited through a restore folded lost events",
    5159: "the watch took an event for shown, because a lost one of its number was",
    10463: "a rebuild showed a halted account further behind",
    10633: "the same, by another way",
    20279: "a redrive beside a worker that was halting the account left it halted by a redriven letter",
    20416: "the same, with a rebuild",
    20430: "a skip did not know the generation that a rebuild had just begun",
    20587: "a redrive beside a worker, as 20279",
    40012: "a scan in pages showed a child's lease without its parent's",
    40167: "the same",
    65189: "a rebuild showed an account that an event halted further behind, where a record halted it first",
    69963: "a repair did not know what was skipped while it checked",
    72864: "the same",
    100149: "a repair brought an account on in the generation that a rebuild was about to replace, and in no other",
}


@pytest.mark.parametrize("seed", FOUND, ids=map(str, FOUND))
def test_a_seed_that_once_found_a_fault_finds_none(seed: int) -> None:
    command = [sys.executable, "-m", "simulation", "--seed", str(seed), "--no-shrink"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
