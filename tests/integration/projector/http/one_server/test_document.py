"""The OpenAPI document holds what the projector does: schemathesis makes requests from it and judges the answers."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestServer

from ledger.runtime.auth import Credential, Principal, Scope, digest, new_token
from ledger.runtime.aws import Clients
from projector.app import ProjectorApp, build_app
from projector.http import queries
from tests.support.documents.schemathesis_run import holds

pytestmark = [pytest.mark.integration, pytest.mark.acceptance, pytest.mark.asyncio(loop_scope="module")]


async def test_no_answer_of_a_projector_is_outside_the_document(
    built: ProjectorApp, clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token()
    credential = Credential(Principal("schemathesis", frozenset(Scope)), digest(token))
    settings = built.components.settings.model_copy(update={"access": "tokens", "tokens": [credential]})
    access, bound = settings.claim("127.0.0.1", 0)
    guarded = build_app(settings, clients, access, bound)
    monkeypatch.setattr(queries, "MAX_WAIT", 0)  # for versions that never come
    async with TestServer(await cast(Any, guarded.faust.web).wsgi()) as server:
        url = str(server.make_url("")).rstrip("/")
        await asyncio.to_thread(holds, url, tmp_path, operations=11, token=token, checks=("ignored_auth",))
    guarded.executor.shutdown()
    bound.close()
