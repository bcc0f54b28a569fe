"""The contest of writers: both really run, book what they say, and are counted by the AWS that they ask."""

from functools import partial

import orjson
import pytest

from bench.writer.account_costs import MORE, account_costs
from bench.writer.contest import CASES, CLIENTS, measure
from bench.writer.load import Client, ask_once, health_millis
from bench.writer.long_accounts import long_account
from bench.writer.servers import KINFOLD, PEER, memory_aws, writer
from writer.settings import WriterSettings

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", [KINFOLD, PEER])
def test_every_case_is_carried_out(name: str) -> None:
    with memory_aws(0) as aws, writer(name, aws) as server:
        assert len(health_millis(server.port, 3)) == 3
        for case_name, case in CASES.items():
            found = measure(server, aws, case, case_name.replace(", ", "-"), 0.5)
            assert found["accepted"] > 0
            assert found["cpu_millis"] > 0
            assert found["calls"] > 0
            assert found["write_units"] >= 1
            if "hot" not in case_name:
                assert found["turned_away"] == {}
                assert found["accepted"] >= CLIENTS


def test_an_account_costs_what_is_counted() -> None:
    found = account_costs([100], print)["sizes"]["100"]
    assert found["whole"]["read_units"] > found["load"]["read_units"]
    assert found["load"]["calls"] == 2
    assert 0 < found["snapshot_bytes"] <= 1024
    settled = (MORE - 2) // 2
    snapshots = MORE // WriterSettings.model_fields["snapshot_interval"].default
    assert found["more_write_units"] == {"events": MORE, "snapshots": settled + snapshots}, (
        "each settled bet is archived"
    )
    assert set(found["commands"]) == {"deposits", "withdrawals", "bets", "settlement"}
    assert all(cost["write_units"] >= 1 for cost in found["commands"].values())


def test_the_peer_books_a_key_once_and_after_the_history_that_is_there() -> None:
    account_id = long_account(5, "key")

    async def send(client: Client, key: str) -> dict[str, object]:
        headers = {"Content_Type": "application/json", "Idempotency_Key": key}
        body = b'{"amount": "1.50", "currency": "EUR"}'
        status, answer = await client.ask("POST", f"/accounts/{account_id}/deposits", body, **headers)
        assert status == 201
        return dict(orjson.loads(answer))

    with memory_aws(0) as aws, writer(PEER, aws) as server:
        first, again, other = (ask_once(server.port, partial(send, key=key)) for key in ("a", "a", "b"))
    assert first == again == {"accountId": account_id, "version": 6, "balance": "1000001.50"}
    assert (other["version"], other["balance"]) == (7, "1000003.00")
