import logging
import os
import signal
import socket
import subprocess
import sys

import pytest

from ledger.errors import ConfigurationError
from writer import server


def test_port_0_takes_a_free_one_on_which_nobody_is_kept_waiting() -> None:
    with server.bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert server.address(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
            pass


def test_a_taken_port_is_a_configuration_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1 port {port}: .*--port"):
            server.bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="--host"):
        server.bind("203.0.113.1", 0)


def test_a_signal_while_waiting_ends_the_process_well() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, server.signals_end_the_process():
        os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_importing_the_writer_starts_and_opens_nothing() -> None:
    script = (
        "import logging, threading, writer.cli, sys\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger().handlers\n"
        "assert not [m for m in sys.modules if m.startswith('botocore.data')]\n"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    subprocess.run([sys.executable, "-c", script], check=True, env=bare, timeout=60)
    assert logging.getLogger("writer").handlers == []
