"""``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header): which command a key identifies."""

import hashlib
import json
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ledger.aggregates.identifiers import IdempotencyKey
from ledger.errors import PermanentError
from ledger.runtime.problems import malformed
from ledger.store.idempotency_keys import CommandKey
from writer.resource import Command

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
_KEY: Final[TypeAdapter[str]] = TypeAdapter(IdempotencyKey)


class KeyReusedError(PermanentError):
    """The key was used before, for another command."""


def parse_key(header: str) -> str:
    """Read the header: the key, bare or in the quotes of the draft. Raises ProblemError (400)."""
    text = header.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    try:
        return _KEY.validate_python(text)
    except ValidationError:
        raise malformed(
            HEADER, "a key has 1 to 128 characters: letters, digits and . _ : - only, a letter or digit first"
        ) from None


def command_key(client: str, key: str, aggregate_id: str, command: Command[Any]) -> CommandKey:
    """Storage key of the command: each client has a key space of its own, across all aggregates.

    The fingerprint is of the command as it was understood, so that 5 and 5.00, or fields in another order, are the same
    command. ``If-Match`` is no part of it: it is the condition of the command, which a client may well look up anew.
    """
    values = command.model_dump(mode="json").values()
    meaning = json.dumps([aggregate_id, command.name, *values])
    # Neither a client's name nor a key can contain #.
    return CommandKey(f"{client}#{key}", hashlib.sha256(meaning.encode()).hexdigest())
