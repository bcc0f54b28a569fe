"""The units of a client's calls, by what DynamoDB answers."""

import json

from ledger.runtime.measuring.capacity import Units, metered
from tests.support.aws.answers import Answers


def test_what_is_read_and_written_is_counted_by_table_while_the_block_runs() -> None:
    answers = Answers("dynamodb")

    def answered(*consumed: tuple[str, float], one: bool = False) -> None:
        found = [{"TableName": table, "CapacityUnits": units} for table, units in consumed]
        answers.body = json.dumps({"ConsumedCapacity": found[0] if one else found}).encode()

    with metered(answers.client) as units:
        answered(("events", 5.0), one=True)
        answers.client.scan(TableName="events")
        assert b'"ReturnConsumedCapacity": "TOTAL"' in answers.sent[-1]
        answered(("rows", 2.5))
        answers.client.batch_get_item(RequestItems={"rows": {"Keys": [{"id": {"S": "a"}}]}})
        assert units.take() == {"events": Units(5), "rows": Units(2.5)}
        answered(("rows", 2), ("letters", 4))
        answers.client.transact_write_items(TransactItems=[{"Put": {"TableName": "rows", "Item": {}}}])
        answers.client.batch_execute_statement(Statements=[{"Statement": "INSERT"}])
        answers.body = b"{}"
        answers.client.scan(TableName="events")
        answers.client.describe_table(TableName="events")
        assert units.take() == {"rows": Units(written=4), "letters": Units(written=8)}
        assert units.take() == {}
    answered(("events", 5.0), one=True)
    answers.client.scan(TableName="events")
    assert b"ReturnConsumedCapacity" not in answers.sent[-1]
    assert units.total == Units(7.5, 12)
    assert str(units.total) == "8 read and 12 write units"
