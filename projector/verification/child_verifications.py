"""Verifications in processes of their own."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.store.parallel_scan import RetryUntilStopped
from projector.components import Components
from projector.verification.reading_processes import Send
from projector.verification.repair import Repair
from projector.verification.verification import Verification, verification_of


@dataclass(frozen=True, slots=True)
class ChildVerifications:
    """Makes a child's verifications of these generations, by projection; the parent hears what they find."""

    generations: Mapping[str, int]
    repair: bool
    wait: float

    def __call__(self, components: Components, stop: threading.Event, send: Send) -> Sequence[Verification]:
        """See ``MakeReaders``."""
        return [self._one(components, name, stop, send) for name in self.generations]

    def _one(self, components: Components, name: str, stop: threading.Event, send: Send) -> Verification:
        projection = components.models.projections[name]
        model = components.models.model(projection, self.generations[name])
        feeder = components.feeder_of_all(projection, cache_size=1000)
        return verification_of(
            components,
            model,
            RetryUntilStopped(stop, lambda text: send("report", text)),
            lambda finding: send("found", name, finding.brief()),
            repairer=Repair(components.clients.dynamodb, model, feeder) if self.repair else None,
            wait=self.wait,
        )
