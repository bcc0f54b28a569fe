"""An endpoint that is no AWS, and a region in which nothing is, are named as such."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import exceptions as sdk

from aws_client.call_pool import CallPool
from faust_kinesis import errors as transport
from faust_kinesis.errors import typed
from ledger.errors import ConfigurationError, ResourceError
from ledger.runtime.aws import Clients, aws_errors, wait_for_endpoint
from ledger.runtime.settings import Settings

#: What somebody else's server may answer a POST with: status, content type, body.
FOREIGN = {
    "a page": (200, "text/html", b"<!DOCTYPE html><html><body>Welcome</body></html>"),
    "no page": (404, "text/html", b"<html><body>Not Found</body></html>"),
    "no such path": (404, "application/json", b'{"detail": "Not Found"}'),
    "a problem": (404, "application/problem+json", b'{"type": "urn:kinfold:problem:unknown-path", "status": 404}'),
    "another service": (200, "application/json", b'{"name": "node-1", "cluster_name": "search"}'),
    "a list": (200, "application/json", b"[1, 2]"),
    "a word": (200, "application/json", b'"ok"'),
    "plain text": (200, "text/plain", b"OK"),
    "no POST": (405, "text/plain", b"Method Not Allowed"),
    "no POST, Python's": (501, "text/html", b"<!DOCTYPE HTML><html><p>Unsupported method ('POST')</html>"),
    "a login": (401, "text/html", b"<html>Sign in</html>"),
    "a wall": (403, "text/html", b"<html>Forbidden</html>"),
}
MISSING = b'{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "not found"}'


class Server:
    """Answers every request in one way."""

    def __init__(self) -> None:
        self.answer = (200, "application/x-amz-json-1.0", b"{}")
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, body = server.answer
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def clients(server: Server, monkeypatch: pytest.MonkeyPatch) -> Clients:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return Clients(Settings.model_validate({"endpoint_url": server.url, "region": "eu-west-1"}), attempts=1)


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_aws_ends_a_start_and_a_command_and_is_named(server: Server, clients: Clients, answer: Any) -> None:
    server.answer = answer
    with pytest.raises(ConfigurationError, match=r"no AWS.*AWS_ENDPOINT_URL") as error:
        wait_for_endpoint(clients, 60, print)
    assert server.url in str(error.value)
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL"), aws_errors("reading"):
        clients.dynamodb.describe_table(TableName="t")
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL"), aws_errors("reading"):
        clients.kinesis.list_shards(StreamName="s")


async def test_the_transport_does_not_try_it_again(server: Server, clients: Clients) -> None:
    calls = CallPool(1, "test")
    for server.answer in FOREIGN.values():
        with pytest.raises((sdk.BotoCoreError, sdk.ClientError)) as error:
            await calls.retry_until_answered("list", clients.kinesis.list_shards, StreamName="s")
        assert isinstance(typed(error.value, "reading"), transport.ConfigurationError), server.answer
    calls.close()


@pytest.mark.parametrize("body", [b"{}", b"", b'{"Attributes": null}'])
def test_an_answer_of_aws_without_members_is_one(server: Server, clients: Clients, body: bytes) -> None:
    server.answer = (200, "application/x-amz-json-1.0", body)
    clients.dynamodb.put_item(TableName="t", Item={"k": {"S": "v"}})


def test_a_proxy_whose_server_is_down_passes(server: Server, clients: Clients) -> None:
    server.answer = (502, "text/html", b"<html>Bad Gateway</html>")
    with pytest.raises(Exception, match="502") as error:
        clients.dynamodb.list_tables()
    assert isinstance(typed(error.value, "reading"), transport.TransientError)


def test_the_region_in_which_nothing_is_is_named(server: Server, clients: Clients) -> None:
    server.answer = (400, "application/x-amz-json-1.0", MISSING)
    with pytest.raises(ResourceError, match=r"not found \(region eu-west-1\)"), aws_errors("reading"):
        clients.dynamodb.describe_table(TableName="t")


@pytest.mark.parametrize(
    ("region", "shown"),
    [
        ("us-esat-1", "us-esat-1 (no region that the SDK knows: did you mean us-west-1 or us-east-1?)"),
        ("cn-north-1", "cn-north-1"),
    ],
)
def test_a_region_that_is_none_is_named_with_the_nearest(region: str, shown: str) -> None:
    clients = Clients(Settings.model_validate({"profile": "prod", "endpoint_url": None, "region": region}))
    assert clients.endpoint == f"AWS in {shown}"
