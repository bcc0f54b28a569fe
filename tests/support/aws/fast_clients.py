"""Whether a client goes the fast ways of ``aws_client``, seen from outside."""

import json
from datetime import UTC
from typing import Any, Final

from botocore.exceptions import ParamValidationError

from tests.support.aws.answers import Answers

_PAGE: Final = {
    "Records": [{"SequenceNumber": "1", "ApproximateArrivalTimestamp": 1.5, "Data": "AAAA", "PartitionKey": "k"}],
    "MillisBehindLatest": 0,
}


def reads_pages_at_once(kinesis: Any) -> bool:
    """botocore itself gives the time of a record in the machine's zone."""
    answers = Answers("kinesis", client=kinesis)
    answers.body = json.dumps(_PAGE).encode()
    record = kinesis.get_records(ShardIterator="x")["Records"][0]
    assert record["Data"] == b"\0\0\0"
    return record["ApproximateArrivalTimestamp"].tzinfo is UTC


def sends_statements_as_they_are(dynamodb: Any) -> bool:
    """botocore itself checks the parameters of every statement."""
    answers = Answers("dynamodb", client=dynamodb)
    answers.body = b'{"Responses":[]}'
    wrong: Any = {"Statement": "s", "Parameters": [{"N": 5}]}
    try:
        dynamodb.batch_execute_statement(Statements=[{"Statement": "s"}, wrong])
    except ParamValidationError:
        return False
    return bool(json.loads(answers.sent[-1])["Statements"][1] == wrong)
