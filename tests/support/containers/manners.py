"""How each container behaves, whatever it serves: confined, closed to strangers, and quick to stop."""

from tests.support.containers.compose_project import ComposeProject, docker, state


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


def assert_asks_for_a_token(project: ComposeProject, *services: str) -> None:
    """On each published port: 401 without the token and with another one, an answer with it; ``/health`` is open."""
    wrong = {"Authorization": f"{project.headers['Authorization']}x"}
    for service in services:
        ready = f"{project.url(service)}/ready"
        answers = [project.http.get(ready, headers=headers).status_code for headers in ({}, wrong, project.headers)]
        assert answers == [401, 401, 200], service
        assert project.http.get(f"{project.url(service)}/health").status_code == 200
