"""Taking an address to serve on."""

import asyncio
import socket

import pytest

from ledger.errors import ConfigurationError
from ledger.runtime.settings import GuardedSettings
from ledger.runtime.sockets import address, bind, claim_ports, free_port, is_loopback_host, is_loopback_url, listen


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


def test_of_two_that_wait_on_one_address_the_second_is_told_at_once() -> None:
    with bind("127.0.0.1", 0) as waiting, pytest.raises(ConfigurationError, match="already in use"):
        bind("127.0.0.1", waiting.getsockname()[1])


@pytest.fixture
def lingering_port() -> int:
    """The port of an address with a connection in TIME_WAIT, where who closes first keeps it."""
    with bind("127.0.0.1", 0) as before:
        listen(before)
        with socket.create_connection(before.getsockname()) as client:
            before.accept()[0].close()
            assert client.recv(1) == b""
        port: int = before.getsockname()[1]
    return port


def test_an_address_whose_last_connections_linger_can_be_had_again(lingering_port: int) -> None:
    with bind("127.0.0.1", lingering_port) as again:
        listen(again)
        socket.create_connection(again.getsockname()).close()


def test_who_is_too_late_on_a_lingering_address_is_told_when_it_listens(lingering_port: int) -> None:
    with bind("127.0.0.1", lingering_port) as first, bind("127.0.0.1", lingering_port) as second:
        listen(first)
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1 port {lingering_port}: .*in use.*--port"):
            listen(second)


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 99_999), ("127.0.0.1", -1), ("no-such-host.invalid", 0), ("a..b", 0), ("x" * 70, 0), ("", 0)],
)
def test_an_address_that_is_none_is_a_configuration_error(host: str, port: int) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on .* port -?\d+: .*--host and --port"):
        bind(host, port)


def resolve_to(place: tuple[str, int]) -> object:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]


def test_access_is_judged_where_the_socket_is_and_not_by_the_name_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = GuardedSettings.model_validate({"endpoint_url": "http://127.0.0.1:4566"})
    access, bound = settings.claim("localhost", 0)
    with bound:
        assert access.open
        assert bound.getsockname()[0] == "127.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", resolve_to(("0.0.0.0", 0)))
    with pytest.raises(ConfigurationError, match=r"profile local on 0\.0\.0\.0\): put the line"):
        settings.claim("localhost", 0)


def test_a_claimed_port_can_be_bound_and_a_taken_one_names_its_option() -> None:
    port = free_port()
    with claim_ports({"--writer-port": port, "--projector-port": 0}) as claimed:
        assert claimed["--writer-port"] == port
        assert claimed["--projector-port"] not in {0, port}
    refused = pytest.raises(ConfigurationError, match=rf"port {port}: .*with --writer-port")
    with bind("127.0.0.1", port), refused, claim_ports({"--writer-port": port}):
        pass


def test_one_port_cannot_be_claimed_for_two() -> None:
    port = free_port()
    refused = pytest.raises(ConfigurationError, match=rf"port {port}: .*with --projector-port")
    with refused, claim_ports({"--writer-port": port, "--projector-port": port}):
        pass
    bind("127.0.0.1", port).close()


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


def test_no_outgoing_connection_gets_a_free_port_before_its_server_does() -> None:
    ports = [free_port() for _ in range(200)]
    assert max(ports) < 32_768, "Linux gives a connection any port from there on"
    assert len(set(ports)) > 150, "two who ask at the same time get two"
