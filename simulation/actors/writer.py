"""Writers, and the clients that ask them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final

from typing_extensions import override

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.commands import Deposit, PlaceBet, SettleBet, Withdraw
from betting.money import format_amount
from ledger.aggregates.aggregate_type import Aggregate, AnyType
from ledger.aggregates.errors import RefusedError
from ledger.errors import PermanentError, ResourceError, TransientError
from ledger.store.errors import VersionConflictError
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import CommandKey, IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.stored_event import StoredEvent
from ledger.store.table_identity import CLOSE_INTERVAL, TableGuard, TableIdentities
from simulation.actors.service import Service
from simulation.invariants.answers import Asked
from simulation.invariants.fold import Wish, money, type_of
from simulation.kernel.primitives import Thread
from simulation.kernel.scheduler import Killed
from simulation.vouchers import VOUCHER, Charge, Spend, Voucher
from simulation.world import World
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.handler import CommandHandler
from writer.commands.idempotency import KeyReusedError, command_key
from writer.commands.preconditions import Precondition
from writer.commands.requests import CommandRequest
from writer.commands.snapshot_writer import SnapshotWriter
from writer.metrics import Metrics
from writer.resource import Command

#: Odds that a client sends a command that has a key twice at once.
_HEDGED: Final = 0.2
#: Seconds longer that a client waits which is told that the table is gone.
_GONE: Final = 4.0
#: Odds that a client uses the key of an earlier command for a new one.
_REUSE: Final = 0.1
#: Odds that a client's wish is of a voucher, where there are any.
_VOUCHERS: Final = 0.4


class Client:
    """A client with a list of wishes. It outlives the writer that it asks, and tries again what was not answered."""

    def __init__(self, world: World, name: str, random: Random) -> None:
        self._world = world
        self.name = name
        self._random = random
        self._left = world.plan.commands
        self._asked: Asked | None = None
        self._confirmed: list[Asked] = []
        self._bets = 0

    @property
    def done(self) -> bool:
        """Whether every wish was answered, the run is worth something, and a table that is lost was restored."""
        world = self._world
        long_enough = world.network.calls >= world.plan.calls and not world.restores.pending
        return self._left <= 0 and self._asked is None and long_enough

    def ask(self, handler: CommandHandler) -> None:
        """Ask one writer until every wish is answered."""
        scheduler = self._world.scheduler
        while not self.done:
            if self._asked is None:
                self._left -= 1
                self._asked = self._wished()
            if self._attempts(handler, self._asked):
                self._asked = None
            pause = self._random.random() * 2 * self._world.plan.pace
            scheduler.sleep(pause + _GONE if self._world.restores.away else pause)

    def _wished(self) -> Asked:
        random, plan = self._random, self._world.plan
        if plan.vouchers and random.random() < _VOUCHERS:
            account = plan.keys[plan.accounts + random.randrange(plan.vouchers)]
            wish = Wish(random.choice(("charge", "charge", "spend", "spend", "spend")), random.randint(1, 30), "")
        else:
            account, wish = f"account-{random.randrange(plan.accounts)}", self._wish_of_an_account()
        version = self._world.histories.version(account)
        claimed = random.choice((None, None, None, max(0, version - random.randint(0, 1)))) if version else None
        key = f"{self.name}-{self._left}" if random.random() < 0.6 else None
        if key is not None and self._confirmed and random.random() < _REUSE:
            # By mistake: the key of another command.
            key = random.choice(self._confirmed).key
        return Asked(account, wish, key, claimed, since=version)

    def _wish_of_an_account(self) -> Wish:
        random = self._random
        kind = random.choice(("deposit", "deposit", "withdraw", "place", "settle"))
        if kind == "place":
            self._bets += 1
        bet = f"{self.name}-{random.randint(1, self._bets)}" if kind in {"place", "settle"} and self._bets else ""
        return Wish(kind if bet or kind not in {"place", "settle"} else "deposit", random.randint(1, 3000), "EUR", bet)

    def _attempts(self, handler: CommandHandler, asked: Asked) -> bool:
        """Ask, sometimes twice at once under one key, as behind a proxy that loses its patience."""
        if asked.key is None or self._random.random() >= _HEDGED:
            return self._try(handler, asked)
        hedge = Thread(target=self._try, args=(handler, asked), name=f"{self.name}-again")
        hedge.start()
        through = self._try(handler, asked)
        hedge.join()
        return through

    def _try(self, handler: CommandHandler, asked: Asked) -> bool:
        """Ask once. Returns whether the client is through with it."""
        answers, command = self._world.answers, _command(asked.wish)
        correlation_id = f"{self.name}.{self._left}.{len(asked.attempts)}"
        answers.attempted(asked, correlation_id)
        key: CommandKey | None = None
        if asked.key is not None:
            key = command_key("client", asked.key, asked.account, command)
        told = self._world.restores.told()
        try:
            kind: AnyType = VOUCHER if type_of(asked.account) == "voucher" else ACCOUNT
            aggregate_id = asked.account.rpartition("~")[2]
            result = handler.handle(
                CommandRequest(kind, aggregate_id, command, Precondition(asked.claimed), correlation_id, key)
            )
        except RefusedError:
            answers.declined(asked, correlation_id)
        except VersionConflictError as conflict:
            answers.conflicted(asked, correlation_id, conflict.actual)
        except TransientError:
            # The answer of 503: it may be stored or not. Whoever has a key asks again.
            answers.once(asked)
            return asked.key is None
        except KeyReusedError:
            answers.key_refused(asked, correlation_id)
        except ResourceError as error:
            # The answer of 503 while the table is gone.
            if not self._world.restores.felt:
                self._world.violated("a writer answers", f"{asked.wish} of {asked.account}: {error!r}")
            answers.once(asked)
            return asked.key is None
        except PermanentError as error:
            if None not in self._world.histories.states[asked.account]:
                self._world.violated("a writer answers", f"{asked.wish} of {asked.account}: {error!r}")
        except Killed:
            if asked.key is None:
                self._asked = None
            raise
        else:
            if not result.replayed:
                self._world.restores.went_on(f"{asked.wish} is accepted", told=told)
            answers.accepted(asked, correlation_id, result.body, replayed=result.replayed)
            if asked.key is not None:
                self._confirmed.append(asked)
        return True


class Writer(Service):
    """A writer, with its clients' requests in threads of its own."""

    def __init__(self, world: World, name: str, clients: Sequence[Client], *, held: int) -> None:
        super().__init__(world, name)
        self.clients = clients
        self._held = held

    @override
    def run(self) -> None:
        world, names = self.world, self.world.names
        dynamodb = world.pool.take(attempts=2, read_timeout=5.0).dynamodb
        metrics = Metrics()
        guard = TableGuard(TableIdentities(dynamodb, names), interval=CLOSE_INTERVAL)
        store = EventStore(
            dynamodb,
            names.events,
            retry_seconds=world.plan.patience,
            guard=guard.check,
            table_id=guard.table_id,
        )
        snapshots = SnapshotWriter(SnapshotStore(dynamodb, names.snapshots), metrics, interval=world.plan.snapshots)
        handler = CommandHandler(
            AggregateRepository(store, snapshots, held=self._held),
            IdempotencyKeys(dynamodb, names.commands, retention=86_400.0),
            metrics,
            _render,
            conflict_retries=8,
            retry_seconds=world.plan.patience,
        )
        threads = [Thread(target=client.ask, args=(handler,), name=client.name) for client in self.clients]
        with guard.watching():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def _render(aggregate: Aggregate[Any, Any], stored: Sequence[StoredEvent]) -> str:
    state: Account | Voucher = aggregate.state
    balance = money(state.left) if isinstance(state, Voucher) else format_amount(state.balance)
    numbers = [event.sequence_number for event in stored]
    return json.dumps({"version": aggregate.version, "balance": balance, "events": numbers})


def _command(wish: Wish) -> Command[Any]:
    amount, currency = Decimal(money(wish.amount)), wish.currency
    known: dict[str, Any] = {
        "deposit": lambda: Deposit(amount=amount, currency=currency),
        "withdraw": lambda: Withdraw(amount=amount, currency=currency),
        "place": lambda: PlaceBet(bet_id=wish.bet, stake=amount, currency=currency),
        "settle": lambda: SettleBet(bet_id=wish.bet, payout=amount, currency=currency),
        "charge": lambda: Charge(amount=wish.amount),
        "spend": lambda: Spend(amount=wish.amount),
    }
    command: Command[Any] = known[wish.kind]()
    return command
