"""What can happen to a container, one thing at a time, and the proof that the service works again after it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.containers.compose_project import ComposeProject, docker, kill_inside, state
from tests.support.containers.writer_load import WriterLoad

#: Seconds. Of KINFOLD_FAILOVER_TIME, its default is 10.
LONGER_THAN_FAILOVER: Final = 12
CUT_OFF: Final = 30


def killed(project: ComposeProject, service: str) -> None:
    """SIGKILL inside the container; its restart policy brings it back."""
    kill_inside(project.container(service))


def paused(project: ComposeProject, service: str) -> None:
    """Stopped in the middle of whatever it does, for longer than the fail-over time."""
    container = project.container(service)
    docker("pause", container)
    time.sleep(LONGER_THAN_FAILOVER)
    docker("unpause", container)


def cut_off(project: ComposeProject, service: str) -> None:
    """Without a network for a while."""
    container, network = project.container(service), f"{project.name}_default"
    docker("network", "disconnect", network, container)
    time.sleep(CUT_OFF)
    docker("network", "connect", "--alias", service, network, container)


DISTURBANCES: Final[tuple[Callable[[ComposeProject, str], None], ...]] = (killed, paused, cut_off)


@contextmanager
def loaded(project: ComposeProject, name: str) -> Iterator[WriterLoad]:
    """A load while the block runs. Then writer and projector say what was accepted, and every account agrees."""
    project.wait_until_ready("writer", "projector")
    with WriterLoad(lambda: project.url("writer"), name) as load:
        load.wait_for_more()
        yield load
    assert load.differences(project.url("writer"), project.url("projector")) == {}
    verified = project.kinfold("projector", "projector", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def disturb(project: ComposeProject, load: WriterLoad, *services: str) -> None:
    """Each service in turn, in each way; after each, everything works again."""
    for service in services:
        for disturbance in DISTURBANCES:
            disturbance(project, service)
            project.wait_until_ready(service, "writer", "projector", within=180)
            load.wait_for_more(within=120)


def assert_confined(project: ComposeProject, service: str) -> None:
    """Nobody special, without a capability, on a root file system that it cannot write to and did not write to."""
    container = project.container(service)
    lines = docker("exec", container, "cat", "/proc/1/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert set(status["Uid"].split()) == {"10001"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    written = docker("exec", container, "sh", "-c", "for at in / /opt /var/tmp; do touch $at/x 2>&1; done", check=False)
    assert written.count("Read-only file system") == 3, written
    # docker-init is the engine's own mount.
    changed = {line.split()[1] for line in docker("diff", container).splitlines()}
    assert changed <= {"/usr", "/usr/sbin", "/usr/sbin/docker-init", "/sbin", "/sbin/docker-init", "/tmp"}


def assert_stops_in_time(project: ComposeProject, *services: str) -> None:
    """``docker compose stop`` ends each with success within its grace, after which it would be killed."""
    answer = project.compose("stop")
    assert answer.returncode == 0, answer.stderr
    ended = {service: [state(each)["ExitCode"] for each in project.containers(service)] for service in services}
    assert {code for codes in ended.values() for code in codes} == {0}, f"{ended}\n{project.log(*services)}"
