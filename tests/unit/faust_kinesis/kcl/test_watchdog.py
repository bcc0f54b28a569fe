"""When Java counts as hung, and when an agent does."""

import pytest

from faust_kinesis.errors import AgentHungError, DaemonError
from faust_kinesis.kcl.watchdog import Watchdog
from faust_kinesis.options import KinesisOptions


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog(KinesisOptions(application="app", worker_id="w1", batch_timeout=10, daemon_timeout=30))


def test_a_daemon_has_time_to_start_and_less_once_it_lives(watchdog: Watchdog) -> None:
    watchdog.check_daemon(1000)
    watchdog.daemon_started(0)
    watchdog.check_daemon(119)
    with pytest.raises(DaemonError, match="no sign of life for 121 s"):
        watchdog.check_daemon(121)
    watchdog.daemon_spoke(122)
    watchdog.check_daemon(150)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(153)


def test_only_a_change_of_the_sign_counts_and_not_the_one_an_earlier_run_left(watchdog: Watchdog) -> None:
    watchdog.daemon_started(0)
    watchdog.daemon_signed("17", 10)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(121)
    watchdog.daemon_signed("18", 121)
    watchdog.daemon_signed("18", 140)
    watchdog.check_daemon(150)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(152)


def test_the_first_sign_of_all_counts_from_the_next_on(watchdog: Watchdog) -> None:
    watchdog.daemon_started(0)
    watchdog.daemon_signed(None, 1)
    watchdog.daemon_signed("1", 100)
    watchdog.daemon_signed("2", 105)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(136)


def test_an_endpoint_that_is_away_proves_nothing(watchdog: Watchdog) -> None:
    watchdog.daemon_started(0)
    watchdog.daemon_spoke(1)
    watchdog.endpoint_was_silent(100)
    watchdog.check_daemon(129)


def test_agents_hang_when_they_have_batches_and_complete_none(watchdog: Watchdog) -> None:
    watchdog.check_agent(0, 0)
    watchdog.check_agent(2, 10)
    with pytest.raises(AgentHungError, match="2 batches and completed none for 11 s"):
        watchdog.check_agent(2, 11)
    watchdog.agent_moved(11)
    watchdog.check_agent(2, 20)
    watchdog.check_agent(0, 40)
    watchdog.check_agent(1, 50)
    with pytest.raises(AgentHungError):
        watchdog.check_agent(1, 51)
