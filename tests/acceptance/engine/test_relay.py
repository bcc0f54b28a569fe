"""The reference environment with the relay and two projectors on KCL, one of which is killed; by polling in the end.

While they hand shards over, the watch is disturbed, and then the relay, which know nothing of projectors. In the end
LocalStack loses everything.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.support.containers.compose_project import ComposeProject, Started, docker
from tests.support.containers.disturbances import assert_works_again, cut_off, disturb, killed, loaded, paused
from tests.support.containers.manners import assert_confined, assert_stops_in_time
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.engine, pytest.mark.timeout(1800)]

SERVICES: Final = ("relay", "writer", "watch", "projector")
DEPOSIT: Final = {"amount": "1.00", "currency": "EUR"}


@pytest.fixture(scope="module")
def project(started: Started) -> Iterator[ComposeProject]:
    settings = {"KINFOLD_BRIDGE": "relay", "KINFOLD_CONSUMER": "kcl", "PROJECTOR_PORT": "0"}
    with started("--scale", "projector=2", "--scale", "console=0", profiles=["relay"], **settings) as project:
        yield project


def test_the_relay_is_confined(project: ComposeProject) -> None:
    assert_confined(project, "relay")


def reading(project: ComposeProject) -> Counter[str]:
    """How many shards each projector that runs reads, by the host name of its container, which is its worker id."""
    shards: Counter[str] = Counter()
    for worker, url in project.urls("projector").items():
        try:
            metrics = project.http.get(f"{url}/metrics").text
        except httpx.TransportError:
            continue  # it is just being started, or has just been killed
        held = re.search(r"^kinfold_projector_leases_held (\d+)", metrics, re.M)
        shards[worker] = int(held[1]) if held else 0
    return shards


def owners(project: ComposeProject) -> set[str]:
    """The workers that have leases, as the command for operators says."""
    status = project.kinfold("relay", "projector", "status", "--json").stdout
    return set(re.findall(r'"owner": ?"([^"]+)"', status))


def is_shared(shards: Counter[str]) -> bool:
    return list(shards.values()) == [1, 1]


def test_two_projectors_share_the_shards_while_the_watch_is_disturbed_and_then_the_relay(
    project: ComposeProject,
) -> None:
    def why() -> str:
        return f"{reading(project)}\n{project.log('projector')}"

    with loaded(project, "shared") as load:
        disturb(project, load, "watch", by=(killed, paused))
        shared = until(lambda: reading(project), is_shared, within=240, every=1, why=why)
        assert owners(project) == shared.keys()
        left, other = shared
        with cut_off(project, "watch"):
            docker("kill", left)  # from outside, so that nothing starts it again
            until(lambda: reading(project), lambda shards: shards == {other: 2}, within=240, every=1, why=why)
            assert owners(project) == {other}
        assert_works_again(project, load, "watch")
        docker("start", left)
        disturb(project, load, "relay")
        until(lambda: reading(project), is_shared, within=240, every=1, why=why)


def test_localstack_restarts_every_service_says_what_to_do_and_one_command_brings_all_back(
    project: ComposeProject,
) -> None:
    def deposit() -> int:
        url = f"{project.url('writer')}/accounts/before/deposits"
        return project.http.post(url, json=DEPOSIT).status_code

    assert deposit() == 201
    project.compose("restart", "--timeout", "0", "localstack")
    restarted = project.state("localstack")["StartedAt"]

    def silent() -> set[str]:
        logs = project.compose("logs", "--no-color", "--since", restarted, *SERVICES).stdout
        told = re.findall(rf"((?:{'|'.join(SERVICES)})-\d) +\| .*`kinfold bridge ensure` creates", logs)
        return {"relay-1", "writer-1", "watch-1", "projector-1", "projector-2"} - set(told)

    until(silent, lambda containers: not containers, within=300, every=2)
    assert not any(project.is_ready(service) for service in SERVICES)
    assert deposit() == 503
    project.up("--force-recreate", KINFOLD_CONSUMER="polling")
    account = project.http.get(f"{project.url('writer')}/accounts/before")
    assert account.status_code == 404, account.text
    with loaded(project, "restarted"):
        pass
    assert_stops_in_time(project, *SERVICES)
