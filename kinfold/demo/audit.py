"""The proof at the end of a demo: every account refolded from the event store, against what a reader gets."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from ledger.domain.account import Account
from ledger.domain.money import format_amount
from ledger.errors import EndpointError
from ledger.store.event_store import EventStore

#: Seconds that one request waits for a summary to catch up, and without any progress before the audit gives up on it.
_WAIT: Final = 2
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One account: what its events fold to, and what the projector answers. Versions and balances as text."""

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
) -> list[Finding]:
    """Refold each account of ``confirmed`` (last version that the writer answered) and compare it with its summary.

    Waits for a summary that is behind as long as any progress is made. Raises EndpointError when the projector does
    not answer.
    """
    with httpx.Client(base_url=projector_url, timeout=30, trust_env=False) as projector:
        return [
            _finding(store, projector, account_id, version, on_progress) for account_id, version in confirmed.items()
        ]


def disagreements(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that do not agree."""
    return [finding for finding in findings if not finding.agrees]


def _finding(
    store: EventStore, projector: httpx.Client, account_id: str, confirmed: int, on_progress: Callable[[], None]
) -> Finding:
    account = Account.reconstitute(account_id, (event.decode() for event in store.read(account_id)))
    summary = _caught_up(projector, account_id, account.version, on_progress)
    return Finding(
        account_id,
        confirmed,
        (account.version, format_amount(account.balance), str(account.currency)),
        (int(summary.get("version", 0)), str(summary.get("balance")), str(summary.get("currency"))),
    )


def _caught_up(
    projector: httpx.Client, account_id: str, version: int, on_progress: Callable[[], None]
) -> Mapping[str, Any]:
    """The account's summary at ``version``, or as it stands after a minute without progress."""
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
        elif time.monotonic() - moved > _PATIENCE:
            return body
