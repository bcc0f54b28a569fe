"""Requests that schemathesis makes from a service's OpenAPI document, and its verdict on the answers."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: Not positive_data_acceptance: rules refuse well-formed commands, ids have patterns of their own, and some parameters
#: exclude others.
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
)
#: 503 is an answer like others: a reader waits for a version that never comes.
_CONFIG: Final = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 503]\n'


def holds(url: str, home: Path, *, operations: int, token: str | None = None, checks: Sequence[str] = ()) -> None:
    """Hold a running service to its document, which has so many operations; ``checks`` beside CHECKS."""
    config = home / "schemathesis.toml"
    config.write_text(_CONFIG)
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)),
            *("run", f"{url}/openapi.json"),
            *(("--header", f"Authorization: Bearer {token}") if token is not None else ()),
            *("--checks", ",".join((*CHECKS, *checks))),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "8"),
            *("--seed", "4711"),
            *("--generation-database", "none"),
            "--no-color",
        ],
        cwd=home,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert f"Tested: {operations}" in ended.stdout, ended.stdout[-2000:]
