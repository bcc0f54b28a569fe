"""Which of its environment's variables a process sees."""

import subprocess
import sys
from typing import Final

import faust
import pytest
from faust.types.settings import Settings as FaustSettings

from ledger.runtime.environment import keep_own_variables, own_variables
from tests.support.waiting import PATIENCE

FAUST: Final = {param.env_name for param in FaustSettings.SETTINGS.values() if param.env_name}
#: Read by Faust at its import, and by mode.
FAUST_AT_IMPORT: Final = {
    f"{prefix}{name}"
    for prefix in ("FAUST_", "F_")
    for name in ("DATADIR", "LOOP", "DEBUG", "WORKDIR", "BLOCKING_TIMEOUT", "CONSOLE_PORT", "WEB_PORT", "F_WEB_BIND")
} | {"NO_CYTHON", "DEVLOG"}
OTHERS: Final = {
    *("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir", "PROMETHEUS_DISABLE_CREATED_SERIES"),
    *("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "UVICORN_HOST", "UVICORN_RELOAD", "UVICORN_FD"),
    *("FASTAPI_ENV", "FASTAPI_OTEL_AUTO_CONFIGURE", "OTEL_PYTHON_CONTEXT", "OTEL_PROPAGATORS"),
    *("AIOHTTP_NO_EXTENSIONS", "PYDANTIC_DISABLE_PLUGINS", "TYPER_USE_RICH", "_KINFOLD_COMPLETE", "SSLKEYLOGFILE"),
    *("MINISTACK_PERSIST", "GATEWAY_PORT", "CLASSPATH", "JCOMMANDER_OPTS", "LOCALSTACK_HOST", "REQUEST_METHOD"),
    *("HOST", "PORT", "PROFILE", "TOKENS", "ACCESS", "ENDPOINT_URL", "REGION", "NOT_KINFOLD_ACCESS"),
}
OWN: Final = {
    "KINFOLD_PROFILE": "prod",
    "KINFOLD_WRITER_PORT": "8080",
    "KINFOLD_TOKENS": "shop:read:00",
    "AWS_REGION": "eu-west-1",
    "AWS_PROFILE": "sandbox",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
    "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/1",
    "BOTO_DISABLE_CRT": "true",
    **dict.fromkeys(("HTTP_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY"), "http://proxy:3128"),
    **dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF"), "/etc/ssl/ca.pem"),
    **dict.fromkeys(("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX"), "/x"),
    **dict.fromkeys(("TZ", "LANG", "LC_ALL", "TERM", "COLUMNS", "NO_COLOR"), "C"),
    **dict.fromkeys(("PYTHONPATH", "PYTHONUNBUFFERED", "VIRTUAL_ENV"), "1"),
    **dict.fromkeys(("JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"), "/opt/java"),
}
#: What Kubernetes sets in every container for the services kinfold-writer and kinfold, and Docker for a link.
LINKS: Final = {
    "KINFOLD_WRITER_PORT": "tcp://10.96.0.12:8080",
    "KINFOLD_WRITER_SERVICE_HOST": "10.96.0.12",
    "KINFOLD_WRITER_SERVICE_PORT": "8080",
    "KINFOLD_WRITER_SERVICE_PORT_HTTP": "8080",
    "KINFOLD_WRITER_PORT_8080_TCP": "tcp://10.96.0.12:8080",
    "KINFOLD_WRITER_PORT_8080_TCP_PROTO": "tcp",
    "KINFOLD_WRITER_PORT_8080_TCP_PORT": "8080",
    "KINFOLD_WRITER_PORT_8080_TCP_ADDR": "10.96.0.12",
    "KINFOLD_BRIDGE_PORT": "udp://[fd00::1]:6067",
    "KINFOLD_PROJECTOR_NAME": "/web/kinfold_projector",
    "KINFOLD_PROJECTOR_ENV_KINFOLD_ACCESS": "off",
    "KINFOLD_SERVICE_HOST": "10.96.0.13",
    "KINFOLD_PORT": "tcp://10.96.0.13:80",
    "KINFOLD_PORT_80_TCP_ADDR": "10.96.0.13",
}


def test_faust_reads_some_80_names() -> None:
    assert len(FAUST) > 60, "or the test looks at the wrong place"
    assert {"WEB_BIND", "WEB_PORT", "APP_VERSION", "BROKER_URL", "APP_WEB_ENABLED"} <= FAUST
    assert faust.__version__


@pytest.mark.parametrize("name", sorted(FAUST | FAUST_AT_IMPORT | OTHERS))
def test_a_variable_of_others_is_not_seen(name: str) -> None:
    assert own_variables({name: "hostile", "HOME": "/root"}) == {"HOME": "/root"}


@pytest.mark.parametrize("name", OWN)
def test_our_own_and_those_of_aws_and_the_machine_are(name: str) -> None:
    assert own_variables({name: OWN[name]}) == {name: OWN[name]}


@pytest.mark.parametrize("name", LINKS)
def test_the_address_of_a_service_is_no_setting(name: str) -> None:
    assert own_variables({name: LINKS[name]}) == {}


@pytest.mark.parametrize("value", ["8080", "", "http://10.96.0.12", "tcp"])
def test_a_port_that_is_no_such_address_is_judged_as_a_setting(value: str) -> None:
    assert own_variables({"KINFOLD_WRITER_PORT": value}) == {"KINFOLD_WRITER_PORT": value}


def test_what_a_setting_names_is_passed_on() -> None:
    given = {"KINFOLD_PASS_ENV": "VAULT_ADDR, SSH_AUTH_SOCK", "VAULT_ADDR": "a", "SSH_AUTH_SOCK": "b", "VAULT": "c"}
    assert own_variables(given).keys() == {"KINFOLD_PASS_ENV", "VAULT_ADDR", "SSH_AUTH_SOCK"}


def test_the_process_itself_loses_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"WEB_BIND": "0.0.0.0", "KINFOLD_WRITER_PORT": "tcp://10.96.0.12:8080", "HOME": "/root"}
    monkeypatch.setattr("os.environ", here)
    keep_own_variables()
    assert here == {"HOME": "/root"}


def test_no_library_that_reads_the_environment_is_imported_before_it_is_cleared() -> None:
    readers = "faust mode prometheus_client uvicorn fastapi starlette aiohttp pydantic opentelemetry botocore ministack"
    script = f"import kinfold.cli, sys; print(*sorted(set({readers.split()}) & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert run.stdout == "\n"
