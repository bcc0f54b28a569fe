"""Every template is one that CloudFormation takes, as far as AWS's own linter can tell, and says what it is for."""

import subprocess
import sys

import pytest

from tests.templates import INFRA, TEMPLATES


def test_every_file_of_infra_is_a_template_that_the_tests_know() -> None:
    assert sorted(path.name for path in INFRA.iterdir()) == sorted(f"{name}.yaml" for name in TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_linter_finds_nothing(name: str) -> None:
    linted = subprocess.run(
        [sys.executable, "-m", "cfnlint", "--include-checks", "I", "--", f"{INFRA / name}.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_head_says_what_it_makes_and_when_to_deploy_it(name: str) -> None:
    head = (INFRA / f"{name}.yaml").read_text().split("AWSTemplateFormatVersion")[0].splitlines()
    assert len(head) >= 2
    assert all(line.startswith("#") for line in head)
    assert "eploy" in " ".join(head)
