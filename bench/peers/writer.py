"""Peer: a writer as it is usually written, `python -m bench.peers.writer`.

FastAPI, boto3, uvicorn with its defaults. A command reads the account's whole history, decides, and appends by one
TransactWriteItems that fails if the event's number or the command's key is taken; then it is decided anew.
"""

import argparse
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import boto3
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

from bench.peers.balances import signed_amount

#: How often a command is decided anew when another was faster.
ATTEMPTS = 9


class Deposit(BaseModel):
    """The body of a deposit."""

    amount: Decimal
    currency: str


def build_app(dynamodb: Any, events: str, commands: str) -> FastAPI:
    """The app over an events table and a table of commands' keys."""
    app = FastAPI()

    def load(account_id: str) -> tuple[int, Decimal]:
        version, balance = 0, Decimal(0)
        start: dict[str, Any] = {}
        while True:
            page = dynamodb.query(
                TableName=events,
                KeyConditionExpression="aggregateId = :a",
                ExpressionAttributeValues={":a": {"S": account_id}},
                ConsistentRead=True,
                **start,
            )
            for item in page["Items"]:
                version = int(item["sequenceNumber"]["N"])
                balance += signed_amount(item["eventType"]["S"], json.loads(item["payload"]["S"]))
            if "LastEvaluatedKey" not in page:
                return version, balance
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/accounts/{account_id}/deposits", status_code=201)
    def deposit(account_id: str, body: Deposit, idempotency_key: Annotated[str | None, Header()] = None) -> Any:
        if body.amount <= 0:
            raise HTTPException(422, "a deposit is more than nothing")
        for _ in range(ATTEMPTS):
            version, balance = load(account_id)
            answer = {"accountId": account_id, "version": version + 1, "balance": str(balance + body.amount)}
            event = {
                "aggregateId": {"S": account_id},
                "sequenceNumber": {"N": str(version + 1)},
                "aggregateType": {"S": "account"},
                "eventType": {"S": "FundsDeposited"},
                "payload": {"S": json.dumps({"amount": str(body.amount), "currency": body.currency})},
                "occurredAt": {"S": datetime.now(UTC).isoformat()},
            }
            free = "attribute_not_exists(sequenceNumber)"
            actions = [{"Put": {"TableName": events, "Item": event, "ConditionExpression": free}}]
            if idempotency_key is not None:
                record = {"commandId": {"S": f"{account_id}#{idempotency_key}"}, "answer": {"S": json.dumps(answer)}}
                new = "attribute_not_exists(commandId)"
                actions.append({"Put": {"TableName": commands, "Item": record, "ConditionExpression": new}})
            try:
                dynamodb.transact_write_items(TransactItems=actions)
            except dynamodb.exceptions.TransactionCanceledException as error:
                reasons = [each["Code"] for each in error.response["CancellationReasons"]]
                if reasons[1:] == ["ConditionalCheckFailed"]:
                    found = dynamodb.get_item(
                        TableName=commands, Key={"commandId": record["commandId"]}, ConsistentRead=True
                    )
                    return json.loads(found["Item"]["answer"]["S"])
            else:
                return answer
        raise HTTPException(409, "others were faster")

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", required=True)
    parser.add_argument("--commands", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(build_app(boto3.client("dynamodb"), given.events, given.commands), port=given.port)
