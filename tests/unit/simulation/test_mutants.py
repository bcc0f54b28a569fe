"""The mutants themselves: each still finds its place in the code, and is code."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.mutants.faults import MUTANTS
from simulation.mutants.mutant import MisplacedError, Mutant

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_has_one_place_and_compiles(mutant: Mutant) -> None:
    text = mutant.mutated(ROOT)
    compile(text, mutant.file, "exec")
    assert text != (ROOT / mutant.file).read_text()


def test_names_are_unique() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names)) >= 70


def test_a_text_that_is_not_there_once_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\na = 1\n")
    for old in ("a = 1", "b"):
        with pytest.raises(MisplacedError):
            Mutant("name", "what it breaks", "code.py", old, "").apply(tmp_path)


def test_a_fault_replaces_its_text(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    Mutant("name", "what it breaks", "code.py", "1", "2").apply(tmp_path)
    assert (tmp_path / "code.py").read_text() == "a = 2\n"
