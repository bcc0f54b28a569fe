"""The OpenAPI document holds what a running writer does: schemathesis makes requests from it and judges the answers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.runtime.auth import Credential, Principal, Scope, digest, new_token
from ledger.store.tables import Names
from tests.integration.writer.writer_process import WriterProcess

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Not positive_data_acceptance: the rules of accounts refuse well-formed commands, and version excludes at.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
)


def test_no_answer_of_a_running_writer_is_outside_the_document(
    child_env: dict[str, str], ledger_tables: Names, tmp_path: Path
) -> None:
    token = new_token()
    credential = Credential(Principal("schemathesis", frozenset(Scope)), digest(token))
    with WriterProcess(child_env, tmp_path / "writer.log", access="tokens", tokens=credential) as writer:
        ended = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{writer.url}/openapi.json"),
                *("--header", f"Authorization: Bearer {token}"),
                *("--checks", ",".join(CHECKS)),
                *("--phases", "examples,coverage,fuzzing"),
                *("--max-examples", "8"),
                *("--seed", "4711"),
                *("--generation-database", "none"),
                "--no-color",
            ],
            cwd=tmp_path,
            env=os.environ | {"NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert "Tested: 9" in ended.stdout
