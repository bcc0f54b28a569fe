"""Signatures are botocore's to the byte, and what is no plain POST is signed by botocore."""

from datetime import datetime
from typing import Any, cast
from unittest.mock import patch

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from hypothesis import example, given
from hypothesis import strategies as st

from aws_client.fast import signing
from aws_client.fast.signing import FastSigV4, install_fast_signing

PLAIN = "https://dynamodb.eu-west-1.amazonaws.com/"
urls = st.sampled_from(
    [
        PLAIN,
        "https://123456789012.ddb.eu-west-1.amazonaws.com",
        "http://127.0.0.1:4566/",
        "https://AWS.test:443/",
        "http://h:80",
        "http://[::1]:8000/",
        "http://proxy/path/",
        "http://proxy/?a=1",
    ]
)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
names = st.sampled_from(["X-Amz-Target", "Content-Type", "User-Agent", "amz-sdk-request", "X-Amzn-Trace-Id", "Date"])
headers = st.dictionaries(names, printable, max_size=4)
bodies = st.binary(max_size=64)
credentials = st.builds(ReadOnlyCredentials, st.just("AKID"), st.text(min_size=1, max_size=8), st.none() | st.just("t"))
#: In UTC without a zone, as botocore has them.
NOW, LATER = datetime(2026, 1, 1), datetime(2026, 1, 2)  # noqa: DTZ001


def signed(signer: type[SigV4Auth], moment: datetime, request: AWSRequest, *arguments: Any) -> dict[str, str]:
    with (
        patch("botocore.auth.get_current_datetime", lambda: moment),
        patch.object(signing, "get_current_datetime", lambda: moment),
    ):
        signer(*arguments).add_auth(request)
    return dict(request.headers.items())


@given(urls, st.sampled_from(["POST", "GET"]), headers, bodies, credentials)
@example(PLAIN, "POST", {"Date": "x"}, b"{}", ReadOnlyCredentials("AKID", "s", "t"))
@example(PLAIN, "POST", {"X-Amz-Target": " a  b "}, b"{}", ReadOnlyCredentials("AKID", "s", "t"))
def test_a_signature_is_the_one_of_botocore(
    url: str, method: str, given_headers: dict[str, str], body: bytes, keys: ReadOnlyCredentials
) -> None:
    ours, its = (AWSRequest(method, url, dict(given_headers), body) for _ in range(2))
    of = keys, "dynamodb", "eu-west-1"
    # Twice, as a request that is sent again: with the headers of the first time, on another day.
    for moment in (NOW, LATER):
        assert signed(FastSigV4, moment, ours, *of) == signed(SigV4Auth, moment, its, *of)


def test_without_credentials_nothing_is_signed() -> None:
    with pytest.raises(NoCredentialsError):
        FastSigV4(cast("Any", None), "dynamodb", "eu-west-1").add_auth(AWSRequest("POST", PLAIN, {}, b"{}"))


def test_a_client_s_requests_are_signed_so_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="AKID", aws_secret_access_key="secret")
    install_fast_signing(client)
    install_fast_signing(client)
    signatures: list[str] = []
    add_auth = FastSigV4.add_auth

    def watched(self: FastSigV4, request: AWSRequest) -> None:
        add_auth(self, request)
        signatures.append(request.headers["Authorization"])

    class Sent(Exception):  # noqa: N818
        pass

    def send(request: Any, **_: object) -> None:
        assert request.headers["Authorization"] == signatures[0].encode()
        raise Sent

    monkeypatch.setattr(FastSigV4, "add_auth", watched)
    client.meta.events.register("before-send", send)
    with pytest.raises(Sent):
        client.list_tables()
    assert len(signatures) == 1
    assert "/eu-west-1/dynamodb/aws4_request" in signatures[0]
    url = client.generate_presigned_url("list_tables")
    assert "X-Amz-Signature=" in url, "another kind of signature is botocore's"
