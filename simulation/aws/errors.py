"""What the in-memory AWS refuses, in AWS's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class AwsError(Exception):
    """A refusal: an error code of AWS, its message, and more members of the answer."""

    def __init__(self, code: str, message: str = "", status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message or code
        self.status = status
        self.members = members


class NotModelledError(Exception):
    """A request that this AWS is not made for: it is refused loudly, never answered by a guess."""


def validation(message: str) -> AwsError:
    """A ValidationException."""
    return AwsError("ValidationException", message)


def unfit(message: str) -> AwsError:
    """A ValidationException that depends on the item found: a transaction is cancelled by it, with this reason."""
    return UnfitError("ValidationException", message)


class UnfitError(AwsError):
    """See `unfit`."""


def not_found(what: str) -> AwsError:
    """A ResourceNotFoundException."""
    return AwsError("ResourceNotFoundException", f"Requested resource not found: {what}")


def condition_failed(item: Mapping[str, Any] | None = None) -> AwsError:
    """A ConditionalCheckFailedException; ``item``: the one that was found, for who has asked to see it."""
    error = AwsError("ConditionalCheckFailedException", "The conditional request failed")
    if item is not None:
        error.members["Item"] = item
    return error


def cancelled(reasons: Sequence[Mapping[str, Any]]) -> AwsError:
    """A TransactionCanceledException with a reason for each action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return AwsError("TransactionCanceledException", message, CancellationReasons=reasons)
