"""The reference environment as it stands: native destination and KCL, lived in and disturbed; then by polling."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.containers.compose_project import ComposeProject
from tests.support.containers.disturbances import assert_confined, assert_stops_in_time, disturb, loaded

pytestmark = [pytest.mark.acceptance, pytest.mark.engine, pytest.mark.timeout(1800)]

SERVICES: Final = ("projector", "writer", "watch")
#: The status codes of README's first session, in its order.
ANSWERS: Final = [201, 201, 201, 200, 200, 422, 412, 412, 201, 201, 200, 200, 200, 200]


@pytest.fixture(scope="module")
def project(kcl_image: str, checkout: Path) -> Iterator[ComposeProject]:
    with ComposeProject(checkout, kcl_image) as project:
        project.up()
        yield project


def test_the_first_session_of_the_readme(project: ComposeProject, checkout: Path) -> None:
    readme = (checkout / "README.md").read_text()
    (session,) = re.findall(r"## A first session\n.*?```sh\n(.*?)```", readme, re.DOTALL)
    for service, port in (("writer", "8080"), ("projector", "6066")):
        session = session.replace(f"localhost:{port}", project.url(service))
    session = re.sub(r"\bcurl -[is]", "curl --silent --output /dev/null --write-out '%{http_code} '", session)
    ran = subprocess.run(["bash", "-ec", session], capture_output=True, text=True, check=False, timeout=300)
    assert [int(code) for code in ran.stdout.split()] == ANSWERS, ran.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_confined(project: ComposeProject, service: str) -> None:
    assert_confined(project, service)


def test_each_service_is_disturbed_under_load(project: ComposeProject) -> None:
    with loaded(project, "disturbed") as load:
        disturb(project, load, *SERVICES)


def test_polling_goes_on_where_kcl_was(project: ComposeProject) -> None:
    project.up(KINFOLD_CONSUMER="polling")
    with loaded(project, "switched"):
        pass
    assert_stops_in_time(project, *SERVICES)
