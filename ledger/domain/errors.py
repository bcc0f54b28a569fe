"""What the domain refuses: commands that break a rule of an account."""

from decimal import Decimal

from ledger.errors import PermanentError


class RefusedError(PermanentError):
    """A command broke a rule of the domain. ``rule`` is its stable name; the message gives the figures."""

    rule = "refused"


class InvalidAmountError(RefusedError):
    """An amount that must be positive is not, or a sum would pass what an account can hold."""

    rule = "invalid-amount"


class CurrencyMismatchError(RefusedError):
    """An account has one currency: its first event's."""

    rule = "currency-mismatch"

    def __init__(self, account_id: str, *, account: str, given: str) -> None:
        super().__init__(f"account {account_id} is held in {account}; {given} cannot be booked on it")


class InsufficientFundsError(RefusedError):
    """Neither a withdrawal nor a stake may overdraw the account."""

    rule = "insufficient-funds"

    def __init__(self, account_id: str, *, balance: Decimal, asked: Decimal) -> None:
        self.balance = balance
        self.asked = asked
        super().__init__(f"account {account_id} holds {balance:.2f}; {asked:.2f} cannot be taken from it")


class BetAlreadyPlacedError(RefusedError):
    """A bet is placed once."""

    rule = "bet-already-placed"


class UnknownBetError(RefusedError):
    """Only a bet that was placed can be settled."""

    rule = "unknown-bet"


class BetAlreadySettledError(RefusedError):
    """A bet is settled once."""

    rule = "bet-already-settled"
