"""The benchmarks' command line refuses what makes no sense before it measures anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.__main__ import app
from bench.report.tables import PAGE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["contest", "--contender", "nobody"], "'nobody' is unknown; there are kinfold, plain"),
        (["contest", "--contender", "plain", "--workload", "none"], "'none' is unknown; there are skewed"),
        (["alone", "--sizes", "1000,many"], "'1000,many' is no list of counts"),
        (["alone", "--rebuild", "0"], "'0' is no list of counts"),
        (["writer", "--accounts", "100,1050"], "'100,1050': each has to be a multiple of 100"),
        (["demo", "--before", "no-such-revision"], "no files of revision no-such-revision"),
    ],
)
def test_a_word_that_is_not_known_is_refused(words: list[str], said: str, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    ended = CliRunner().invoke(app, [*words, "--results", str(results)], env={"COLUMNS": "300"})
    assert ended.exit_code == 2
    assert said in ended.output
    assert not results.exists()


def test_nothing_is_published_from_results_that_are_not_there(tmp_path: Path) -> None:
    before = PAGE.read_text()
    ended = CliRunner().invoke(
        app, ["report", "--publish", "--results", str(tmp_path / "none.json")], env={"COLUMNS": "300"}
    )
    assert ended.exit_code == 2
    assert "run `make bench` first" in ended.output
    assert PAGE.read_text() == before
