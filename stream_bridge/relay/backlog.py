"""What the table's stream has shown and no checkpoint covers: its oldest change."""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_client.failures import code_of
from faust_kinesis.polling.shard_reader import first_unread
from stream_bridge.dynamodb_stream import iterator_request
from stream_bridge.relay.change_records import created_at

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient


def oldest_change(streams: "DynamoDBStreamsClient", arn: str, shard_id: str, checkpoint: str) -> datetime | None:
    """When the first change after the checkpoint was made; None when there is none, or it has left the stream.

    AWS's errors come as they are.
    """
    try:
        begin = streams.get_shard_iterator(StreamArn=arn, ShardId=shard_id, **iterator_request(checkpoint))
        page = first_unread(
            lambda iterator: streams.get_records(ShardIterator=iterator, Limit=1), begin["ShardIterator"]
        )
    except ClientError as error:
        if code_of(error) not in {"TrimmedDataAccessException", "ResourceNotFoundException"}:
            raise
        return None
    return created_at(page["Records"][0]) if page and page["Records"] else None
