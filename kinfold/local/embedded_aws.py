"""The embedded AWS: MiniStack as a child process on the loopback interface.

Its state ends with it, unless it is given a folder to keep it in (``kinfold.local.kept.kept_aws``).
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from kinfold.local.child import spawn, stop, tail, temporary_folder
from kinfold.local.kept.data_dir import UNSAVED, DataDir
from ledger.errors import ConfigurationError, EndpointError, ResourceError
from ledger.runtime.cli_output import tell
from ledger.runtime.sockets import LOOPBACK, free_port

#: The services that Kinfold and Amazon's KCL call, by MiniStack's names.
SERVICES: Final = "dynamodb,dynamodbstreams,kinesis,sts,monitoring"
LOG: Final = "ministack.log"
_KEPT: Final = "kinfold.local.kept.kept_aws"
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 5.0
SAVE_TIMEOUT: Final = 60.0
#: How often to try another port when ours was taken between choosing and binding it.
PORT_ATTEMPTS: Final = 3
#: The embedded AWS checks no signature, but the SDK needs credentials to sign with.
DUMMY_CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
REGION: Final = "us-east-1"


class LocalAws:
    """A running embedded AWS at ``url``, until ``stop``."""

    def __init__(self, port: int = 0, data: DataDir | None = None) -> None:
        """Start it on ``port`` (0: a free one), with the state that is kept in ``data``, and wait until it answers.

        Raises ConfigurationError when the ``local`` extra is not installed or no temporary folder can be had,
        EndpointError when it does not come up within 60 seconds; its log is then kept and named.
        """
        missing = [name for name in ("ministack", "cbor2") if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"the embedded AWS is not installed ({', '.join(missing)} missing): "
                f"run `pip install 'kinfold[local]'`, or name an endpoint with --endpoint-url"
            )
        self._home = temporary_folder("kinfold-aws-")
        self._data = data
        self._log_read = 0
        self._process, self.url = _start(port, self._home, data)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Tell of a state that could not be saved. Raises EndpointError, with its log's end, when it no longer runs."""
        code = self._process.poll()
        if code is not None:
            raise EndpointError(f"the embedded AWS ended (exit code {code}):\n{tail(self._home / LOG)}")
        if self._data is not None:
            self._tell_what_is_not_saved(self._data)

    def _tell_what_is_not_saved(self, data: DataDir) -> None:
        with (self._home / LOG).open("rb") as log:
            log.seek(self._log_read)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._log_read += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith(UNSAVED):
                tell(f"the embedded AWS goes on, but {line}; what it has is lost when it ends ({data.state})")

    def stop(self) -> None:
        """Stop it, and discard its state or save it where that is kept. Safe to repeat.

        Raises ResourceError when it could not be saved; what was saved before is there.
        """
        code = stop(self._process, STOP_TIMEOUT if self._data is None else SAVE_TIMEOUT)
        end = tail(self._home / LOG)
        shutil.rmtree(self._home, ignore_errors=True)
        if self._data is not None and code:
            raise ResourceError(f"the embedded AWS ended without saving its last seconds in {self._data.state}:\n{end}")


@contextlib.contextmanager
def local_aws(port: int = 0) -> Iterator[str]:
    """Run the embedded AWS on ``port`` (0: a free one) and give its endpoint URL. It is gone after the block.

    Raises as LocalAws does.
    """
    aws = LocalAws(port)
    try:
        yield aws.url
    finally:
        aws.stop()


def _start(port: int, home: Path, data: DataDir | None) -> "tuple[subprocess.Popen[bytes], str]":
    log = home / LOG
    module, arguments, keep = ("ministack", [], []) if data is None else (_KEPT, [str(data.state)], [data.lock])
    for _ in range(1 if port else PORT_ATTEMPTS):
        chosen = port or free_port()
        url = f"http://{LOOPBACK}:{chosen}"
        process = spawn(module, arguments, env=_environment(chosen, home), log=log, keep=keep)
        try:
            if _answers(process, url, home.name):
                return process, url
        except BaseException:
            stop(process, STOP_TIMEOUT)
            raise
        code = stop(process, STOP_TIMEOUT)
    raise EndpointError(f"the embedded AWS did not start (exit code {code}); its log is {log}:\n{tail(log)}")


def _answers(process: "subprocess.Popen[bytes]", url: str, edition: str) -> bool:
    """Wait until it answers under our ``edition``: another process may have taken the port before our child could.

    False when the child ended or took too long.
    """
    deadline = time.monotonic() + START_TIMEOUT
    # A proxy of the environment has no way to our loopback interface.
    with httpx.Client(timeout=2, trust_env=False) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if client.get(f"{url}/_ministack/health").raise_for_status().json().get("edition") == edition:
                    return True
            except (httpx.HTTPError, ValueError):
                pass  # not up yet, or somebody else's server: the child's end or the deadline settles it
            time.sleep(0.05)
    return False


def _environment(port: int, home: Path) -> dict[str, str]:
    """The child's environment: ours without AWS's and MiniStack's own settings, on loopback, keeping nothing."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MINISTACK_", "KINFOLD_"))
    }
    return ours | DUMMY_CREDENTIALS | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "MINISTACK_EDITION": home.name,
        "SERVICES": SERVICES,
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "0",
        "LOCALSTACK_PERSISTENCE": "0",
        "S3_PERSIST": "0",
        "STATE_DIR": str(home / "state"),
        "TMPDIR": str(home),
        "USE_SSL": "0",
        "AUTH": "false",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # A socket that does not exist: it must not look for containers to reclaim on this machine.
        "DOCKER_HOST": f"unix://{home}/no-docker",
    }  # fmt: skip
