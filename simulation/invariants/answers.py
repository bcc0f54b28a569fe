"""A writer's answers agree with what is stored: nothing confirmed is lost, nothing is stored twice under one key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from simulation.invariants.fold import State, Wish, money, refused
from simulation.invariants.history import Histories, Violated


@dataclass(slots=True)
class Asked:
    """One command of a client, through all its attempts."""

    account: str
    wish: Wish
    key: str | None
    claimed: int | None
    attempts: list[str] = field(default_factory=list)
    #: The version stored when the first attempt began, and how often events had been lost by then.
    since: int = 0
    losses: int = 0


class Answers:
    """Checks each answer at the moment it is given."""

    def __init__(self, histories: Histories, violated: Violated) -> None:
        self._histories = histories
        self._violated = violated
        self._bodies: dict[str, str] = {}
        self._of_key: dict[str, set[str]] = {}
        self._meanings: dict[str, tuple[str, Wish]] = {}
        #: How often events had been lost when each attempt began.
        self._began: dict[str, int] = {}

    def forget_lost(self) -> None:
        """An answer whose event is lost is worth nothing from now on."""
        for key in list(self._bodies):
            if not any(self._histories.stored.get(each) for each in self._of_key[key]):
                del self._bodies[key], self._meanings[key]

    def attempted(self, asked: Asked, correlation_id: str) -> None:
        """A client sends a command, under this correlation id."""
        self._began[correlation_id] = self._histories.losses
        if not asked.attempts:
            asked.losses = self._histories.losses
        asked.attempts.append(correlation_id)
        if asked.key is not None:
            self._of_key.setdefault(asked.key, set()).add(correlation_id)

    def accepted(self, asked: Asked, correlation_id: str, body: str, *, replayed: bool) -> None:
        """A writer confirms. What was stored before a loss, and is lost, may still be confirmed after it."""
        ids = self._of_key[asked.key] if asked.key is not None else set(asked.attempts)
        if self._overtaken(correlation_id) and not any(self._histories.stored.get(each) for each in ids):
            return
        told = json.loads(body)
        account, version = asked.account, told["version"]
        states = self._histories.states[account]
        if version >= len(states):
            self._violated(
                "no confirmed append is lost", f"{account} was confirmed at {version}: {len(states) - 1} stored"
            )
            return
        state = states[version]
        if state is not None and told["balance"] != money(state.balance):
            self._violated(
                "answers agree", f"{account} at {version}: balance {told['balance']}, not {money(state.balance)}"
            )
        before = states[version - 1]
        if before is not None and refused(before, asked.wish):
            self._violated("an account keeps its rules", f"{asked.wish} was accepted by {account} in {before}")
        if asked.key is not None:
            known = self._bodies.setdefault(asked.key, body)
            if known != body:
                self._violated("one answer a key", f"key {asked.key} was answered {known} and then {body}")
            meaning = self._meanings.setdefault(asked.key, (account, asked.wish))
            if meaning != (account, asked.wish):
                self._violated(
                    "one command a key", f"key {asked.key} stands for {meaning}: {asked.wish} got its answer"
                )
        item = self._histories.items[account][version - 1]
        if item["correlationId"]["S"] not in ids:
            self._violated(
                "no confirmed append is lost", f"event {version} of {account} is another command's ({replayed=})"
            )
        self.once(asked)

    def once(self, asked: Asked) -> None:
        """However often it was tried, its events are stored at most once, where it has a key."""
        ids = self._of_key[asked.key] if asked.key is not None else {asked.attempts[-1]}
        stored = [each for each in sorted(ids) if self._histories.stored.get(each)]
        if len(stored) > 1 or any(len(self._histories.stored[each]) > 1 for each in stored):
            events = [event for each in stored for event in self._histories.stored[each]]
            self._violated("none doubled under one key", f"key {asked.key} has stored {events}")

    def declined(self, asked: Asked, correlation_id: str) -> None:
        """A writer refuses by the account's rules: at some version meanwhile it had to."""
        states = self._histories.states[asked.account][self._since(asked) :]
        self._unwritten(asked, correlation_id)
        if self._overtaken(correlation_id):
            return
        self._explained(asked, states, any(state is None or refused(state, asked.wish) for state in states))

    def conflicted(self, asked: Asked, correlation_id: str, actual: int) -> None:
        """A writer reports the version that the account has."""
        self._unwritten(asked, correlation_id)
        if self._overtaken(correlation_id):
            return
        if not self._since(asked) <= actual <= self._histories.version(asked.account):
            stored = self._histories.version(asked.account)
            self._violated(
                "answers agree", f"{asked.account} is said to be at {actual}; it was at {asked.since}..{stored}"
            )

    def key_refused(self, asked: Asked, correlation_id: str) -> None:
        """A writer says that the key stands for another command: it must have been used for one."""
        self._unwritten(asked, correlation_id)
        if self._overtaken(correlation_id):
            return
        if self._meanings.get(asked.key or "", (asked.account, asked.wish)) == (asked.account, asked.wish):
            self._violated("one command a key", f"{asked.wish} is told that its own key {asked.key} is another's")

    def _overtaken(self, correlation_id: str) -> bool:
        """Whether events were lost between a question and its answer: it may be of the history before."""
        return self._began[correlation_id] < self._histories.losses

    def _since(self, asked: Asked) -> int:
        """The lowest version that the account had since the command was asked first."""
        if asked.losses == self._histories.losses:
            return asked.since
        return min(asked.since, self._histories.kept.get(asked.account, 0))

    def _unwritten(self, asked: Asked, correlation_id: str) -> None:
        """Whoever is refused, or told of a conflict, is told that this attempt has written nothing."""
        if stored := self._histories.stored.get(correlation_id):
            self._violated("a refusal writes nothing", f"{asked.wish} was refused, and has stored {stored}")

    def _explained(self, asked: Asked, states: list[State | None], holds: bool) -> None:
        if not holds:
            self._violated("answers agree", f"{asked.wish} was refused by {asked.account} in {states}")
