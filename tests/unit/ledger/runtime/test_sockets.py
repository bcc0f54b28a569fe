"""Taking an address to serve on."""

import asyncio
import socket

import pytest

from ledger.errors import ConfigurationError
from ledger.runtime.sockets import address, bind, claim_port, free_port, is_loopback_host, is_loopback_url


def test_port_0_takes_a_free_one_on_which_nobody_is_kept_waiting() -> None:
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert address(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
            pass


async def test_no_answer_on_an_accepted_connection_waits_for_an_acknowledgement() -> None:
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    bound = bind("127.0.0.1", 0)
    async with await asyncio.start_server(lambda _, writer: accepted.put_nowait(writer), sock=bound):
        _, client = await asyncio.open_connection(*bound.getsockname())
        server = await accepted.get()
        at_once = server.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for connection in (client, server):
            connection.close()
            await connection.wait_closed()
    assert at_once


def test_a_taken_port_is_a_configuration_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1 port {port}: .*--port"):
            bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="--host"):
        bind("203.0.113.1", 0)


def test_a_claimed_port_can_be_bound_and_a_taken_one_names_its_option() -> None:
    port = free_port()
    assert claim_port(port, "the writer", "--writer-port") == port
    with bind("127.0.0.1", port) as bound:
        bound.listen()
        with pytest.raises(ConfigurationError, match=rf"port {port}: .*for the writer with --writer-port"):
            claim_port(port, "the writer", "--writer-port")


def test_an_ipv6_address_is_bound_and_shown_in_brackets() -> None:
    try:
        bound = bind("::1", 0)
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    with bound:
        assert address(bound) == f"http://[::1]:{bound.getsockname()[1]}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "localhost"])
def test_a_host_of_this_machine_alone(host: str) -> None:
    assert is_loopback_host(host)
    assert is_loopback_url(f"http://[{host}]:8080/x" if ":" in host else f"http://{host.upper()}:8080/x")


@pytest.mark.parametrize(
    "host",
    [
        *("localhost.example.com", "example.com.localhost.evil", "notlocalhost", "127.0.0.1.example.com"),
        *("127.example.com", "127.1", "0.0.0.0", "128.0.0.1", "10.127.0.1", "::", "::2", "fe80::1", "", "[::1]"),
    ],
)
def test_a_host_that_only_looks_like_it(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize("url", ["http://127.0.0.1@example.com/", "http://localhost:80@example.com", "localhost", ""])
def test_a_url_whose_host_is_elsewhere(url: str) -> None:
    assert not is_loopback_url(url)
