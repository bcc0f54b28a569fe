"""Whether events reach the stream, and what to do when they do not. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from stream_bridge.provisioning.destination import ENABLEABLE, DestinationState

#: Seconds after a repair within which a destination that is DISABLED again was disabled by somebody who means it.
UNDONE_WITHIN: Final = 600.0

Action = Literal["none", "enable"]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look found: the status of table, stream and destination, None where there is none."""

    table: str | None
    stream: str | None
    destination: DestinationState | None
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """``sound``: what is appended now reaches the stream. ``reason`` says why not, and what to do about it."""

    sound: bool
    action: Action = "none"
    reason: str = ""


def judge(sight: Sight, *, native: bool, repair: bool, repaired_ago: float | None) -> Judgement:
    """What to make of it.

    ``native``: whether the destination carries the events. ``repair``: whether the watch may enable it.
    ``repaired_ago``: seconds since the watch last did, None: never.
    """
    if sight.table not in {"ACTIVE", "UPDATING"}:
        return Judgement(False, reason=f"the events table is {sight.table or 'missing'}: `kinfold bridge ensure`")
    if sight.stream not in {"ACTIVE", "UPDATING"}:
        return Judgement(False, reason=f"the stream is {sight.stream or 'missing'}: `kinfold bridge ensure`")
    if not native:
        return Judgement(True)
    destination = sight.destination
    status = destination.status if destination else None
    if destination is not None and destination.healthy:
        return Judgement(True)
    says = f"the streaming destination is {status or 'missing'}"
    if destination is not None and destination.description:
        says += f" ({destination.description})"
    if status not in ENABLEABLE:
        return Judgement(False, reason=f"{says}: waiting")
    if sight.held is not None:
        return Judgement(False, reason=f"{says}, and the watch is {sight.held}; `kinfold bridge hold --lift` ends that")
    if not repair:
        return Judgement(False, reason=f"{says}, and the watch was started with --no-repair: `kinfold bridge ensure`")
    if status == "DISABLED" and repaired_ago is not None and repaired_ago < UNDONE_WITHIN:
        return Judgement(
            False,
            reason=f"{says} again, {repaired_ago:.0f} s after the watch enabled it: somebody means it. "
            f"`kinfold bridge ensure` enables it, `kinfold bridge hold` says that it is to stay so",
        )
    return Judgement(False, "enable", says)
