"""The reference environment with the relay, without Java; then two projectors on KCL, one of which is killed.

In the end LocalStack loses everything.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.containers.compose_project import ComposeProject, docker
from tests.support.containers.disturbances import assert_confined, assert_stops_in_time, disturb, loaded
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.engine, pytest.mark.timeout(1800)]

SERVICES: Final = ("relay", "writer", "watch", "projector")
DEPOSIT: Final = {"amount": "1.00", "currency": "EUR"}


@pytest.fixture(scope="module")
def project(polling_image: str, checkout: Path) -> Iterator[ComposeProject]:
    settings = {"KINFOLD_BRIDGE": "relay", "KINFOLD_CONSUMER": "polling"}
    with ComposeProject(checkout, polling_image, profiles=["relay"], **settings) as project:
        project.up()
        yield project


def test_the_relay_is_confined(project: ComposeProject) -> None:
    assert_confined(project, "relay")


def test_the_relay_is_disturbed_under_load(project: ComposeProject) -> None:
    with loaded(project, "disturbed") as load:
        disturb(project, load, "relay")


def reading(project: ComposeProject) -> Counter[str]:
    """How many shards each projector reads, by the host name of its container, which is its worker id."""
    shards: Counter[str] = Counter()
    for container in project.containers("projector"):
        ask = ["python", "-m", "kinfold.health", "http://127.0.0.1:6066/metrics"]
        held = re.search(r"^kinfold_projector_leases_held (\d+)", docker("exec", container, *ask, check=False), re.M)
        shards[docker("inspect", "--format", "{{.Config.Hostname}}", container)] = int(held[1]) if held else 0
    return shards


def owners(project: ComposeProject) -> set[str]:
    """The workers that have leases, as the command for operators says."""
    status = project.kinfold("relay", "projector", "status", "--json").stdout
    return set(re.findall(r'"owner": ?"([^"]+)"', status))


def test_two_projectors_share_the_shards_and_the_other_takes_a_killed_ones(
    project: ComposeProject, kcl_image: str
) -> None:
    with loaded(project, "shared") as load:
        project.up("--scale", "projector=2", KINFOLD_IMAGE=kcl_image, KINFOLD_CONSUMER="kcl")
        load.wait_for_more(8)

        def why() -> str:
            return f"{reading(project)}\n{project.log('projector')}"

        until(lambda: reading(project), lambda shards: list(shards.values()) == [1, 1], within=240, why=why)
        assert owners(project) == reading(project).keys()
        killed, other = project.containers("projector")
        docker("kill", killed)  # from outside, so that nothing starts it again
        left = docker("inspect", "--format", "{{.Config.Hostname}}", other)
        until(lambda: reading(project)[left], lambda shards: shards == 2, within=240, why=why)
        assert owners(project) == {left}
        docker("start", killed)
        until(lambda: reading(project), lambda shards: list(shards.values()) == [1, 1], within=240, why=why)


def test_localstack_restarts_every_service_says_what_to_do_and_one_command_brings_all_back(
    project: ComposeProject,
) -> None:
    def deposit() -> int:
        url = f"{project.url('writer')}/accounts/before/deposits"
        return httpx.post(url, json=DEPOSIT, trust_env=False, timeout=30).status_code

    assert deposit() == 201
    project.compose("restart", "localstack")
    restarted = project.state("localstack")["StartedAt"]

    def silent() -> list[str]:
        logs = {service: project.compose("logs", "--since", restarted, service).stdout for service in SERVICES}
        return [service for service, log in logs.items() if "`kinfold bridge ensure` creates" not in log]

    until(silent, lambda services: services == [], within=300)
    assert not any(project.is_ready(service) for service in SERVICES)
    assert deposit() == 503
    project.up("--force-recreate")
    account = httpx.get(f"{project.url('writer')}/accounts/before", trust_env=False, timeout=30)
    assert account.status_code == 404, account.text
    with loaded(project, "restarted"):
        pass
    assert_stops_in_time(project, *SERVICES)
