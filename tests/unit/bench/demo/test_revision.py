"""The files of an earlier revision, as they were."""

import subprocess
from pathlib import Path

import pytest

from bench.demo.demo import RevisionError, tree_of


def test_a_revision_is_had_as_it_was_and_is_gone_afterwards(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        name = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *name, *words], check=True, capture_output=True)

    git("init")
    for text in ("first", "second"):
        (tmp_path / "file").write_text(text)
        git("add", "file")
        git("commit", "-m", text)
    (tmp_path / "file").write_text("not committed")
    with tree_of("HEAD^", tmp_path) as tree:
        assert [(each.name, each.read_text()) for each in tree.iterdir()] == [("file", "first")]
    assert not tree.exists()
    with (
        pytest.raises(RevisionError, match=r"no files of revision gone .*: fetch the whole history"),
        tree_of("gone", tmp_path),
    ):
        pass
