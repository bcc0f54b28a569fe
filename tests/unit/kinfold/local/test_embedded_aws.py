import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from kinfold.local import embedded_aws as subject
from kinfold.local.embedded_aws import local_aws
from ledger.errors import ConfigurationError, EndpointError
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.tables import Names, ensure_table, store_specs
from tests.support.waiting import until

pytestmark = pytest.mark.integration


def test_it_serves_tables_and_streams_and_is_gone_afterwards(aws_credentials: None) -> None:
    with local_aws() as url:
        clients = Clients(Settings.model_validate({"profile": "t-embedded", "endpoint_url": url}))
        assert ensure_table(clients.dynamodb, store_specs(Names("t-embedded"))[0])
        clients.kinesis.create_stream(StreamName="s", ShardCount=2)
        assert clients.sts.get_caller_identity()["Account"] == "000000000000"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/_ministack/ready", trust_env=False)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_ministack/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_it_ends_with_a_parent_that_is_killed() -> None:
    script = (
        "import time\nfrom kinfold.local.embedded_aws import local_aws\n"
        "with local_aws() as url:\n    print(url, flush=True)\n    time.sleep(120)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert answers(url)
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not answers(url))


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'kinfold\[local\]'"), local_aws():
        pass


def test_a_failed_start_shows_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_environment", lambda port, home: {"GATEWAY_PORT": "not-a-port"})
    with pytest.raises(EndpointError, match="exit code 1") as failure, local_aws():
        pass
    log = Path(str(failure.value).split("its log is ")[1].split(":\n")[0])
    assert "ValueError" in log.read_text()
