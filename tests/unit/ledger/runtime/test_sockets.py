"""Taking an address to serve on."""

import socket

import pytest

from ledger.errors import ConfigurationError
from ledger.runtime.sockets import address, bind


def test_port_0_takes_a_free_one_on_which_nobody_is_kept_waiting() -> None:
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert address(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
            pass


def test_a_taken_port_is_a_configuration_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1 port {port}: .*--port"):
            bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="--host"):
        bind("203.0.113.1", 0)
