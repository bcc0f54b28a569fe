"""What happens to what can never be applied: a dead letter is stored, then the account is halted.

In this order, and the checkpoint moves only after both: a crash in between makes the record come again, which counts
one attempt more on the same letter.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from ledger.store.stored_event import timestamp
from projector.dead_letters.letters import DeadLetter, DeadLetters, Skips, StoredLetter
from projector.dead_letters.storm_guard import StormGuard
from projector.engine.halts import Halts
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel
from projector.engine.read_model_registry import ReadModels
from projector.metrics import Metrics
from projector.projection import Halt

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)


class AccountHalts:
    """Stores letters and halts accounts. Safe to repeat, and beside other workers and operators.

    Every method raises ThrottledError, EndpointError or ResourceError when the endpoint fails, and StormError.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        letters: DeadLetters,
        skips: Skips,
        models: ReadModels,
        storm: StormGuard,
        metrics: Metrics,
    ) -> None:
        self._models = models
        self._dynamodb = dynamodb
        self._letters = letters
        self._skips = skips
        self._storm = storm
        self._metrics = metrics

    def store_and_halt(self, letter: DeadLetter, projectors: list[Projector[Any]], *, overtaken: bool) -> bool:
        """Store the letter, and halt its account, if it names one, in each of the projectors' read models.

        With ``overtaken``, an account that is past the letter's event by now is left alone: a worker that can apply it
        was faster. Returns False when an operator has skipped the event: apply it again, and it is passed by.
        """
        stored = self._letters.store(letter)
        self._metrics.dead_letters.inc()
        log.error(
            "dead_letter",
            id=stored.id,
            account=letter.account_id,
            sequence_number=letter.sequence_number,
            reason=letter.reason,
            origin=str(letter.origin),
            attempts=stored.attempts,
            action="mend the cause, then `kinfold projector dead-letters redrive`, or skip it",
        )
        if letter.account_id is None or letter.sequence_number is None:
            return True
        if stored.state == "skipped":
            self._skips.add(letter)
            return letter.projection is None
        for projector in projectors:
            self._halt(letter.account_id, letter.sequence_number, stored, projector, overtaken=overtaken)
        return True

    def _halt(
        self, account_id: str, sequence_number: int, stored: StoredLetter, projector: Projector[Any], *, overtaken: bool
    ) -> None:
        halt = Halt(sequence_number, stored.letter.reason, timestamp(datetime.now(UTC)), stored.id)
        halts = Halts(self._dynamodb, projector.model)
        while True:
            head = projector.model.get(account_id)
            projector.forget(account_id)
            if head is not None and (head.halted or (overtaken and head.version >= sequence_number)):
                return
            if halts.halt(account_id, head.version if head else None, halt):
                break
        self._metrics.halted.inc()
        log.error(
            "account_halted",
            account=account_id,
            table=projector.model.table,
            sequence_number=sequence_number,
            id=stored.id,
        )
        if not self._halted_elsewhere(account_id, projector.model):
            self._storm.halted(account_id, stored.letter.reason)

    def _halted_elsewhere(self, account_id: str, model: ReadModel[Any]) -> bool:
        """Whether another generation has the account halted too: a rebuild that meets it again is no storm."""
        others = [
            other
            for other in self._models.fed()
            if other.projection.name == model.projection.name and other.table != model.table
        ]
        heads = [other.get(account_id) for other in others]
        return any(head is not None and head.halted for head in heads)
