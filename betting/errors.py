"""What an account refuses."""

from decimal import Decimal

from ledger.aggregates import RefusedError


class InvalidAmountError(RefusedError):
    """An amount that must be positive is not, or a sum would pass what an account can hold."""

    rule = "invalid-amount"
    example = "account alice: 0.00 is not a positive amount"


class CurrencyMismatchError(RefusedError):
    """An account has one currency: its first event's."""

    rule = "currency-mismatch"
    example = "account alice is held in EUR; USD cannot be booked on it"

    def __init__(self, account_id: str, *, account: str, given: str) -> None:
        super().__init__(f"account {account_id} is held in {account}; {given} cannot be booked on it")


class InsufficientFundsError(RefusedError):
    """Neither a withdrawal nor a stake may overdraw the account."""

    rule = "insufficient-funds"
    example = "account alice holds 10.00; 12.50 cannot be taken from it"

    def __init__(self, account_id: str, *, balance: Decimal, asked: Decimal) -> None:
        self.balance = balance
        self.asked = asked
        super().__init__(f"account {account_id} holds {balance:.2f}; {asked:.2f} cannot be taken from it")


class BetAlreadyPlacedError(RefusedError):
    """A bet is placed once."""

    rule = "bet-already-placed"
    example = "account alice: bet derby was already placed"


class UnknownBetError(RefusedError):
    """Only a bet that was placed can be settled."""

    rule = "unknown-bet"
    example = "account alice: no bet derby was placed"


class BetAlreadySettledError(RefusedError):
    """A bet is settled once."""

    rule = "bet-already-settled"
    example = "account alice: bet derby was already settled"
