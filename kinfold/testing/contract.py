"""What the contracts share: histories to hold them on, and a run that is about truth, not about speed."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from structlog.testing import capture_logs

from kinfold.testing.difference import hold
from kinfold.testing.history import History
from ledger.aggregates.aggregate_type import AnyType

#: Payloads of older schemas as they were stored, by event type and schema version.
OldPayloads = Mapping[tuple[str, int], str]
#: Enough for a domain with some ten commands, of which a few follow one another.
_TRIES: Final = 300
#: How long a machine takes for an example is nothing to test.
_SLOW: Final = (HealthCheck.too_slow,)


class Contract:
    """A suite of tests to subclass. Not one by itself."""

    #: Where a domain has upcasters: one payload for each schema that they start from, as it was stored.
    old_payloads: ClassVar[OldPayloads] = {}

    @property
    def drawn(self) -> st.SearchStrategy[History[Any, Any]]:
        """The histories that the contract is held on."""
        raise NotImplementedError

    @property
    def kinds(self) -> Iterable[AnyType]:
        """The aggregate types that the histories are of."""
        raise NotImplementedError

    def test_every_event_is_in_some_history(self) -> None:
        """The histories are worth something: none of the domain's events is in none of them."""
        missing = {(kind.name, model) for kind in self.kinds for model in kind.events.models}

        def has_the_last_one(history: History[Any, Any]) -> bool:
            missing.difference_update((history.kind.name, type(event)) for event in history.events)
            return not missing

        options = settings(max_examples=_TRIES, phases=[Phase.generate], database=None, suppress_health_check=_SLOW)
        with contextlib.suppress(NoSuchExample):
            find(self.drawn, has_the_last_one, settings=options, random=Random(0))  # noqa: S311 - the same every time
        names = ", ".join(sorted(model.event_type for _, model in missing))
        hold(not missing, f"no history has a {names}: give fields to `commands`, or histories of your own")

    def old_events(self, kind: AnyType) -> Iterable[tuple[str, str]]:
        """Each older schema's event type and payload. Raises AssertionError for one that is not given."""
        for model in kind.events.models:
            for version in range(1, model.model_fields["schema_version"].default):
                step = (model.event_type, version)
                hold(step in self.old_payloads, f"old_payloads lacks {step}: give a payload as it was stored")
                yield model.event_type, self.old_payloads[step]


def for_all(check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Run the check on values of the strategies, as many as the profile says, however slow; nothing is logged."""
    with capture_logs():
        given(*strategies)(settings(deadline=None, suppress_health_check=_SLOW)(check))()
