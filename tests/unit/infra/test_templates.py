"""Every template is one that CloudFormation takes, as far as AWS's own linter can tell, and says what it is for."""

import re
from pathlib import Path

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from tests.support.aws.permissions import RUNNING
from tests.support.aws.templates import INFRA, TEMPLATES, Template


def findings(path: Path) -> list[str]:
    found = lint_file(path, ManualArgs(include_checks=["I"], regions=["us-east-1", "eu-central-1"]))
    return [f"{each.filename}:{each.linenumber}: {each.rule.id} {each.message}" for each in found]


def test_every_file_of_infra_is_a_template_that_the_tests_know() -> None:
    files = {path.name for path in INFRA.iterdir() if path.is_file()}
    assert files == {f"{name}.yaml" for name in TEMPLATES}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_linter_finds_nothing(name: str) -> None:
    assert findings(INFRA / f"{name}.yaml") == []


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "data.yaml"
    broken.write_text((INFRA / "data.yaml").read_text().replace("KeyType: RANGE", "KeyType: RANG", 1))
    assert any("'RANG'" in finding for finding in findings(broken))


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_head_says_what_it_makes_and_when_to_deploy_it(name: str) -> None:
    head = (INFRA / f"{name}.yaml").read_text().split("AWSTemplateFormatVersion")[0].splitlines()
    assert len(head) >= 2
    assert all(line.startswith("#") for line in head)
    assert "eploy" in " ".join(head)


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_is_small_enough_to_be_deployed_without_a_bucket(name: str) -> None:
    assert (INFRA / f"{name}.yaml").stat().st_size <= 51_200


def test_the_documentation_deploys_each_in_its_order_with_parameters_that_it_has() -> None:
    section = RUNNING.read_text().split("\n## On AWS", 1)[1].replace("\\\n", " ")
    commands = re.findall(
        r"aws cloudformation deploy .*--template-file infra/(\w+)\.yaml .*--parameter-overrides (.*)", section
    )
    assert tuple(name for name, _ in commands) == TEMPLATES
    for name, words in commands:
        declared = Template(name).raw["Parameters"]
        given = {word.split("=")[0] for word in words.split()}
        assert given <= declared.keys()
        assert {each for each, of in declared.items() if "Default" not in of} <= given
