"""The OpenAPI document holds what a running writer does: schemathesis makes requests from it and judges the answers."""

from pathlib import Path

import pytest

from ledger.runtime.auth import Credential, Principal, Scope, digest, new_token
from ledger.store.tables import Names
from tests.integration.writer.writer_process import WriterProcess
from tests.support.documents.schemathesis_run import holds

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


def test_no_answer_of_a_running_writer_is_outside_the_document(
    child_env: dict[str, str], ledger_tables: Names, tmp_path: Path
) -> None:
    token = new_token()
    credential = Credential(Principal("schemathesis", frozenset(Scope)), digest(token))
    with WriterProcess(child_env, tmp_path / "writer.log", access="tokens", tokens=credential) as writer:
        holds(writer.url, tmp_path, operations=10, token=token, checks=("ignored_auth",))
