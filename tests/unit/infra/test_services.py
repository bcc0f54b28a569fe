"""What ECS runs is what compose runs: the commands, settings and health checks are the code's own."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer.core
import typer.main
import yaml

from console.settings import ConsoleSettings
from kinfold.cli import app
from ledger.runtime.auth import digest
from ledger.runtime.settings import GuardedSettings, Settings, load_settings
from projector.settings import ProjectorSettings
from stream_bridge.settings import BridgeSettings, RelaySettings, WatchSettings
from tests.support.aws.templates import TEMPLATES, Template
from writer.settings import WriterSettings

ROOT: Final = Path(__file__).parents[3]
SETTINGS: Final[dict[str, tuple[type[Settings], ...]]] = {
    "writer": (WriterSettings,),
    "watch": (WatchSettings,),
    "relay": (RelaySettings,),
    "ensure": (BridgeSettings,),
    "operator": (BridgeSettings, ProjectorSettings),
    "console": (BridgeSettings, ConsoleSettings),
    "projector": (ProjectorSettings,),
}
DAEMONS: Final = ("writer", "watch", "relay", "projector", "console")
GIVEN: Final = {"Profile": "prod", "Image": "image@sha256:1"}
TOKENS: Final = f"ops:operate:{digest('t').hex()}"


def templates() -> list[Template]:
    return [
        Template("services", Bridge="relay", **GIVEN),
        Template("projector", Replica="b", KclProperties="retrievalMode=FANOUT", **GIVEN),
    ]


def tasks() -> dict[str, dict[str, Any]]:
    """Each task's definition, by the name of its one container."""
    found = {}
    for template in templates():
        for task in template.of_type("AWS::ECS::TaskDefinition").values():
            (container,) = task["ContainerDefinitions"]
            found[container["Name"]] = task
    return found


def container(name: str) -> dict[str, Any]:
    found: dict[str, Any] = tasks()[name]["ContainerDefinitions"][0]
    return found


def environment(name: str) -> dict[str, str]:
    return {each["Name"]: str(each["Value"]) for each in container(name)["Environment"]}


def compose() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def variables(kind: type[Settings]) -> Iterator[str]:
    """The environment variables that set a field."""
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        yield from [f"KINFOLD_{name.upper()}"] if alias is None else map(str, getattr(alias, "choices", [alias]))


def test_every_task_is_one_that_these_tests_know() -> None:
    assert tasks().keys() == SETTINGS.keys()
    native = Template("services", Bridge="native", **GIVEN)
    assert "RelayTask" not in native.resources
    assert "RelayService" not in native.resources


@pytest.mark.parametrize("name", SETTINGS)
def test_the_code_knows_every_setting_and_accepts_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {variable for kind in SETTINGS[name] for variable in variables(kind)}
    secrets = {each["Name"] for each in container(name).get("Secrets", [])}
    assert environment(name).keys() | secrets <= known
    for variable in known:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in (environment(name) | dict.fromkeys(secrets, TOKENS)).items():
        monkeypatch.setenv(variable, value)
    for kind in SETTINGS[name]:
        settings = load_settings(kind)
        assert (settings.profile, settings.region, settings.log_format) == ("prod", "us-east-1", "json")
        assert settings.events_table == "domain-events-prod"
        assert settings.bridge == ("relay" if name in {"watch", "relay", "ensure", "operator", "console"} else "native")
        if name in DAEMONS and isinstance(settings, GuardedSettings):
            assert not settings.guard("0.0.0.0").open
        if isinstance(settings, ProjectorSettings) and name == "projector":
            assert (settings.consumer, settings.worker_id) == ("kcl", "projector-b")
            assert settings.kcl_properties == "retrievalMode=FANOUT"


@pytest.mark.parametrize("name", SETTINGS)
def test_the_command_line_is_one_that_kinfold_understands(name: str) -> None:
    parse(container(name)["Command"])


@pytest.mark.parametrize("words", ["writer serv", "writer serve --hosts 0.0.0.0", "writer serve --port http"])
def test_another_command_line_is_told_from_these(words: str) -> None:
    with pytest.raises(Exception, match=r"No such|valid integer"):
        parse(words.split())


def parse(words: list[str]) -> None:
    """Parse a command line to its end with the real commands, and run nothing. Raises what Typer would print."""
    command: Any = typer.main.get_command(app)
    parent = None
    while True:
        context = command.make_context("kinfold", list(words), parent=parent)
        if not isinstance(command, typer.core.TyperGroup):
            return
        _, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        command, parent = found, context


@pytest.mark.parametrize("name", DAEMONS)
def test_it_runs_and_is_checked_and_stopped_as_compose_does_it(name: str) -> None:
    ours, theirs = container(name), compose()[name]
    assert ours["Command"] == theirs["command"]
    assert ours["StopTimeout"] >= seconds(theirs["stop_grace_period"])
    checked, by_compose = ours["HealthCheck"], theirs["healthcheck"]
    # ECS replaces what fails, compose only says so: hence /health here, whatever compose asks.
    *asked, pause = by_compose["test"]
    assert checked["Command"] == [re.sub(r"/ready$", "/health", word) for word in asked]
    # Compose only shows how a service is, so it may ask less often, and wait longer for one on a busy laptop.
    assert checked["Interval"] <= seconds(by_compose["interval"]) + int(pause)
    assert checked["Timeout"] + int(pause) <= seconds(by_compose["timeout"])
    assert checked["Retries"] <= by_compose["retries"]
    assert checked["StartPeriod"] <= seconds(by_compose["start_period"])
    port = int(ours["Command"][-1])
    assert ours["PortMappings"] == [{"ContainerPort": port}]
    assert f":{port}/health" in checked["Command"][-1]
    (group,) = templates()[0].of_type("AWS::EC2::SecurityGroup").values()
    assert any(rule["FromPort"] <= port <= rule["ToPort"] for rule in group["SecurityGroupIngress"])


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_confined_as_the_image_and_compose_are(name: str) -> None:
    ours, dockerfile = container(name), (ROOT / "Dockerfile").read_text()
    assert f"\nUSER {ours['User']}\n" in dockerfile
    assert ours["ReadonlyRootFilesystem"] is True
    assert ours["MountPoints"] == [{"SourceVolume": "tmp", "ContainerPath": "/tmp"}]
    assert tasks()[name]["Volumes"] == [{"Name": "tmp"}]
    assert '\nVOLUME ["/tmp"]\n' in dockerfile
    assert ours["LinuxParameters"] == {"InitProcessEnabled": True, "Capabilities": {"Drop": ["ALL"]}}
    assert ours["LogConfiguration"]["LogDriver"] == "awslogs"
    assert ours["Image"] == GIVEN["Image"]


def test_a_stable_worker_id_is_never_used_by_two_tasks_at_once() -> None:
    found = set()
    for template in templates():
        for logical_id, service in template.of_type("AWS::ECS::Service").items():
            name = template.resources[logical_id.replace("Service", "Task")]["Properties"]["ContainerDefinitions"][0][
                "Name"
            ]
            if "KINFOLD_WORKER_ID" in environment(name):
                found.add(name)
                deployment = service["DeploymentConfiguration"]
                assert (service["DesiredCount"], deployment["MaximumPercent"]) == (1, 100)
    assert found == {"relay", "projector"}


def test_every_task_has_the_role_of_its_name() -> None:
    for name, task in tasks().items():
        assert task["TaskRoleArn"] == f"{{import kinfold-prod-{name}-role}}"
        assert task["ExecutionRoleArn"] == "{import kinfold-prod-execution-role}"


def test_what_a_template_imports_an_earlier_one_exports() -> None:
    exported: set[str] = set()
    for name in TEMPLATES:
        template = Template(name, Profile="prod")
        imported = set(re.findall(r"\{import ([^}]+)\}", str(template.resources)))
        assert imported <= exported, name
        exported |= template.exports
