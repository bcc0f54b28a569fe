"""What can happen to a container, and the proof that its service works again after it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from tests.support.containers.compose_project import ComposeProject, docker, kill_inside
from tests.support.containers.writer_load import WriterLoad
from tests.support.waiting import until

#: Seconds. Of KINFOLD_FAILOVER_TIME, its default is 10.
LONGER_THAN_FAILOVER: Final = 12
CUT_OFF: Final = 30


@contextmanager
def killed(project: ComposeProject, service: str) -> Iterator[None]:
    """SIGKILL inside the container; its restart policy brings it back."""
    kill_inside(project.container(service))
    yield


@contextmanager
def paused(project: ComposeProject, service: str) -> Iterator[None]:
    """Stopped in the middle of whatever it does, while the block runs and for longer than the fail-over time."""
    container = project.container(service)
    until(lambda: _pauses(container), bool)
    with _at_least(LONGER_THAN_FAILOVER):
        yield
    docker("unpause", container)


def _pauses(container: str) -> bool:
    """Pause it. False: the kernel could not stop all that it does at once, which runc says as "unable to freeze"."""
    docker("pause", container, check=False)
    return docker("container", "inspect", "--format", "{{.State.Paused}}", container) == "true"


@contextmanager
def cut_off(project: ComposeProject, service: str) -> Iterator[None]:
    """Without a network, while the block runs and for a while at least."""
    container, network = project.container(service), f"{project.name}_default"
    docker("network", "disconnect", network, container)
    with _at_least(CUT_OFF):
        yield
    docker("network", "connect", "--alias", service, network, container)


@contextmanager
def _at_least(seconds: float) -> Iterator[None]:
    ends = time.monotonic() + seconds
    yield
    time.sleep(max(0.0, ends - time.monotonic()))


#: Begins one, of a service of a project, for the length of a block.
Disturbance = Callable[[ComposeProject, str], AbstractContextManager[None]]
DISTURBANCES: Final[tuple[Disturbance, ...]] = (killed, paused, cut_off)


@contextmanager
def loaded(project: ComposeProject, name: str) -> Iterator[WriterLoad]:
    """A load while the block runs. Then writer and projector say what was accepted, and every account agrees."""
    project.wait_until_ready("writer", "projector")
    with WriterLoad(lambda: project.url("writer"), name, project.headers) as load:
        load.wait_for_more()
        yield load
    assert load.differences(project.url("writer"), project.url("projector")) == {}
    verified = project.kinfold("projector", "projector", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def disturb(
    project: ComposeProject, load: WriterLoad, *services: str, by: Sequence[Disturbance] = DISTURBANCES
) -> None:
    """Each service in turn, in each of these ways; after each, everything works again."""
    for service in services:
        for disturbance in by:
            with disturbance(project, service):
                pass
            assert_works_again(project, load, service)


def assert_works_again(project: ComposeProject, load: WriterLoad, service: str) -> None:
    """The service does its work, and so do those that the load is for."""
    project.wait_until_ready(service, "writer", "projector", within=180)
    load.wait_for_more()
