"""The OpenAPI document holds what a daemon of the bridge does: schemathesis makes requests and judges the answers."""

from pathlib import Path
from typing import Any, cast

import pytest

from ledger.runtime.auth import Access, Credential, Principal, Scope, digest, new_token
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import bind
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names
from stream_bridge.daemon_http import serving
from stream_bridge.relay.health import RelayHealth, Role
from tests.support.documents.schemathesis_run import holds

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


def test_no_answer_of_a_running_daemon_is_outside_the_document(tmp_path: Path) -> None:
    token, health = new_token(), RelayHealth()
    health.role = Role.ACTIVE
    access = Access([Credential(Principal("schemathesis", frozenset(Scope)), digest(token))])
    guard = TableGuard(TableIdentities(cast("Any", None), Names("test")))
    limits = Limits(connections=64, head_timeout=10, body_timeout=10, idle_timeout=60)
    with serving(health, access, bind("127.0.0.1", 0), limits, guard) as url:
        holds(url, tmp_path, operations=3, token=token, checks=("ignored_auth",))
