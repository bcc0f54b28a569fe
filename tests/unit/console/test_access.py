"""Sessions end, and cannot be guessed or crowded out by attempts; attempts are bounded."""

from console.access.attempts import BY_ADDRESS, BY_ALL, WINDOW, Attempts
from console.access.sessions import Sessions
from ledger.runtime.auth import Principal, Scope

ANN = Principal("ann", frozenset({Scope.READ}))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_found_by_its_id_until_it_ends_or_time_is_up() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    first, second = sessions.begin(ANN), sessions.begin(ANN)
    assert len({first.id, second.id, first.csrf, second.csrf}) == 4
    assert sessions.find(first.id) is first
    assert sessions.find(None) is None
    assert sessions.find("") is None
    assert not first.has_made(second.csrf)
    assert first.has_made(first.csrf)
    sessions.end(first)
    assert sessions.find(first.id) is None
    clock.now += 61
    assert sessions.find(second.id) is None


def test_only_the_scope_operate_operates() -> None:
    sessions = Sessions(60)
    assert not sessions.begin(ANN).operates
    assert sessions.begin(Principal("op", frozenset(Scope))).operates


def test_an_address_has_ten_attempts_a_minute_and_others_are_not_kept_waiting() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(BY_ADDRESS):
        assert attempts.wait("a") == 0
        attempts.failed("a")
    assert 0 < attempts.wait("a") <= WINDOW
    assert attempts.wait("b") == 0
    clock.now += WINDOW
    assert attempts.wait("a") == 0


def test_all_addresses_together_have_a_bound_too() -> None:
    attempts = Attempts(Clock())
    for number in range(BY_ALL):
        attempts.failed(f"address {number}")
    assert attempts.wait("another") > 0
