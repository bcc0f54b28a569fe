"""The proof at the end of a demo: each account refolded from the event store equals the summary that readers get."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from ledger.domain.account import Account
from ledger.domain.money import format_amount
from ledger.errors import EndpointError
from ledger.store.event_store import EventStore

#: Seconds that one request waits for a summary to catch up, and without progress after which the audit gives up.
_WAIT: Final = 2
_STALL_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class AccountAudit:
    """One account: what its events fold to, and what the projector answers: version, balance and currency."""

    account_id: str
    confirmed: int
    folded: tuple[int, str, str]
    summary: tuple[int, str, str]

    @property
    def agrees(self) -> bool:
        """Whether the summary equals the fold, and the fold holds everything that the writer confirmed."""
        return self.folded == self.summary and self.confirmed <= self.folded[0]


def audit(
    store: EventStore, projector_url: str, confirmed: Mapping[str, int], on_progress: Callable[[], None]
) -> list[AccountAudit]:
    """Refold each account of ``confirmed`` (last version that the writer answered) and compare it with its summary.

    Waits for a summary that is behind as long as any progress is made. Raises EndpointError when the projector does
    not answer.
    """
    with httpx.Client(base_url=projector_url, timeout=30, trust_env=False) as projector:
        return [
            _audit_account(store, projector, account_id, version, on_progress)
            for account_id, version in confirmed.items()
        ]


def disagreements(audits: Iterable[AccountAudit]) -> list[AccountAudit]:
    """The accounts that do not agree."""
    return [each for each in audits if not each.agrees]


def _audit_account(
    store: EventStore, projector: httpx.Client, account_id: str, confirmed: int, on_progress: Callable[[], None]
) -> AccountAudit:
    account = Account.reconstitute(account_id, (event.decode() for event in store.read(account_id)))
    summary = _caught_up(projector, account_id, account.version, on_progress)
    return AccountAudit(
        account_id,
        confirmed,
        (account.version, format_amount(account.balance), str(account.currency)),
        (int(summary.get("version", 0)), str(summary.get("balance")), str(summary.get("currency"))),
    )


def _caught_up(
    projector: httpx.Client, account_id: str, version: int, on_progress: Callable[[], None]
) -> Mapping[str, Any]:
    """The account's summary at ``version``, or as it is after a minute without progress."""
    reached, moved = -1, time.monotonic()
    while True:
        try:
            answer = projector.get(f"/balances/{account_id}", params={"min_version": version, "wait": _WAIT})
            body: Mapping[str, Any] = answer.json()
        except (httpx.TransportError, ValueError) as error:
            raise EndpointError(f"the projector at {projector.base_url} does not answer: {error}") from error
        on_progress()
        if answer.is_success:
            return body
        if int(body.get("version", 0)) > reached:
            reached, moved = int(body.get("version", 0)), time.monotonic()
        elif time.monotonic() - moved > _STALL_TIMEOUT:
            return body
