"""What IAM asks for each AWS call: our own clients' as they are made, and those of Amazon's KCL, by the docs."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.aws.templates import ACCOUNT, REGION

#: An action, such as ``dynamodb:PutItem``, and the ARN of what it is done to, or ``*``.
Need = tuple[str, str]

RUNNING: Final = Path(__file__).parents[3] / "docs" / "running.md"
_PARTS: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_STATEMENT: Final = re.compile(r'(INSERT INTO|UPDATE|DELETE FROM|SELECT .* FROM) "([^"]+)"', re.DOTALL)
_PARTIQL: Final = {
    "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
    "SELECT": "PartiQLSelect",
}
#: AWS, "Using IAM policies for Amazon Kinesis Data Streams and Amazon DynamoDB".
_BESIDE: Final = {
    "EnableKinesisStreamingDestination": ("PutRecords", "DescribeStream"),
    "DescribeKinesisStreamingDestination": ("DescribeStreamSummary", "DescribeStream"),
}


def table_arn(name: str) -> str:
    """The ARN of a table of the account in the tests."""
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def stream_arn(names: Names) -> str:
    """The ARN of the profile's Kinesis stream."""
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{names.stream}"


def needs(service: str, operation: str, params: dict[str, Any], names: Names) -> Iterator[Need]:
    """What one call must be allowed. A profile has one stream, and one table that has one: an iterator is of that."""
    match service, operation:
        case "sts", _:
            return  # GetCallerIdentity is allowed to everybody
        case _, "ListTables" | "ListStreams":
            yield f"{service}:{operation}", "*"
        case "dynamodbstreams", _:
            yield f"dynamodb:{operation}", f"{table_arn(names.events)}/stream/2026-01-31T00:00:00.000"
        case "kinesis", _:
            named = params.get("StreamName") or params.get("StreamARN", "").rpartition("/")[2] or names.stream
            assert named == names.stream, named
            yield f"kinesis:{operation}", stream_arn(names)
        case "dynamodb", "TransactWriteItems":
            for item in params["TransactItems"]:
                ((part, what),) = item.items()
                yield f"dynamodb:{_PARTS[part]}", table_arn(what["TableName"])
        case "dynamodb", "BatchGetItem" | "BatchWriteItem":
            for name in params["RequestItems"]:
                yield f"dynamodb:{operation}", table_arn(name)
        case "dynamodb", "BatchExecuteStatement":
            for each in params["Statements"]:
                found = _STATEMENT.match(each["Statement"])
                assert found is not None, each
                yield f"dynamodb:{_PARTIQL[found[1].split()[0]]}", table_arn(found[2])
        case "dynamodb", _:
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield f"dynamodb:{operation}", table_arn(params["TableName"]) + index
            for action in _BESIDE.get(operation, ()):
                yield f"kinesis:{action}", stream_arn(names)
        case _:
            raise NotImplementedError(f"{service}:{operation}")


def note_calls(clients: Clients, names: Names, note: Callable[[Need], None]) -> None:
    """Tell ``note`` what each call of these clients needs, from now on and from whatever thread."""

    def hear(params: dict[str, Any], model: Any, **_: object) -> None:
        for need in needs(model.service_model.service_name, model.name, params, names):
            note(need)

    for client in (clients.dynamodb, clients.dynamodbstreams, clients.kinesis, clients.sts):
        client.meta.events.register("provide-client-params", hear)


def kcl_needs(names: Names) -> set[Need]:
    """What Amazon's KCL needs, by the table in docs/running.md. Its calls are Java's, and nobody here hears them."""
    section = RUNNING.read_text().split("## IAM", 1)[1].split("\n## ", 1)[0]
    found = set()
    for line in section.splitlines():
        if not line.startswith("| ") or line.startswith(("| on ", "|---")):
            continue
        on, actions = (cell.strip() for cell in line.strip("|").split("|"))
        words = [word.replace("{p}", names.profile) for word in re.findall(r"`([^`]+)`", on)]
        resources = {
            "stream": [stream_arn(names)],
            "the same": [stream_arn(names), f"{stream_arn(names)}/consumer/{names.leases}:1"],
            "tables": [table_arn(word) for word in words],
            "index": [table_arn(word) for word in words],
            "`*`": ["*"],
        }
        (kind,) = [kind for kind in resources if on.startswith(kind)]
        service = ""
        for action in re.findall(r"`([\w:]+)`", actions):
            service, name = action.split(":") if ":" in action else (service, action)
            found |= {(f"{service}:{name}", resource) for resource in resources[kind]}
    return found
