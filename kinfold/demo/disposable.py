"""A profile for one run: everything named after it is deleted at the end."""

import contextlib
import re
import secrets
from typing import Final

from ledger.runtime.aws import Clients, aws_errors
from ledger.store.tables import Names

#: Only profiles with these prefixes are ever deleted, so that no mistake deletes somebody's ledger.
PREFIXES: Final = ("demo-", "test-")


def disposable_profile(prefix: str) -> str:
    """A new name, such as ``demo-3f9c2a1b``. ``prefix`` is one of PREFIXES."""
    return f"{prefix}{secrets.token_hex(4)}"


def delete_profile(clients: Clients, profile: str) -> None:
    """Delete every table and the stream of a disposable profile. Safe to repeat.

    Raises ValueError for any other profile, and ThrottledError, EndpointError or ResourceError.
    """
    if not profile.startswith(PREFIXES):
        raise ValueError(f"profile {profile} is not disposable: only {' and '.join(PREFIXES)} are")
    dynamodb, kinesis = clients.dynamodb, clients.kinesis
    with aws_errors(f"deleting what belongs to profile {profile}"):
        tables = [
            name
            for page in dynamodb.get_paginator("list_tables").paginate()
            for name in page["TableNames"]
            # What follows is a generation, a table of KCL's, or the name under which the events were restored.
            if re.search(rf"-{re.escape(profile)}(?![a-z0-9])", name)
        ]
        for table in tables:
            with contextlib.suppress(dynamodb.exceptions.ResourceNotFoundException):
                dynamodb.delete_table(TableName=table)
        with contextlib.suppress(kinesis.exceptions.ResourceNotFoundException):
            kinesis.delete_stream(StreamName=Names(profile).stream, EnforceConsumerDeletion=True)
