"""When Java counts as hung, and when an agent does."""

import pytest

from faust_kinesis.errors import AgentHungError, DaemonError
from faust_kinesis.kcl.watchdog import Vigil
from faust_kinesis.options import KinesisOptions


@pytest.fixture
def vigil() -> Vigil:
    return Vigil(KinesisOptions(application="app", worker_id="w1", batch_timeout=10, daemon_timeout=30))


def test_a_daemon_has_time_to_start_and_less_once_it_lives(vigil: Vigil) -> None:
    vigil.check_daemon(1000)
    vigil.daemon_started(0)
    vigil.check_daemon(119)
    with pytest.raises(DaemonError, match="no sign of life for 121 s"):
        vigil.check_daemon(121)
    vigil.daemon_spoke(122)
    vigil.check_daemon(150)
    with pytest.raises(DaemonError):
        vigil.check_daemon(153)


def test_only_a_change_of_the_sign_counts_and_not_the_one_an_earlier_run_left(vigil: Vigil) -> None:
    vigil.daemon_started(0)
    vigil.daemon_signed("17", 10)
    with pytest.raises(DaemonError):
        vigil.check_daemon(121)
    vigil.daemon_signed("18", 121)
    vigil.daemon_signed("18", 140)
    vigil.check_daemon(150)
    with pytest.raises(DaemonError):
        vigil.check_daemon(152)


def test_the_first_sign_of_all_counts_from_the_next_on(vigil: Vigil) -> None:
    vigil.daemon_started(0)
    vigil.daemon_signed(None, 1)
    vigil.daemon_signed("1", 100)
    vigil.daemon_signed("2", 105)
    with pytest.raises(DaemonError):
        vigil.check_daemon(136)


def test_an_endpoint_that_is_away_proves_nothing(vigil: Vigil) -> None:
    vigil.daemon_started(0)
    vigil.daemon_spoke(1)
    vigil.nobody_can_tell(100)
    vigil.check_daemon(129)


def test_agents_hang_when_they_have_batches_and_complete_none(vigil: Vigil) -> None:
    vigil.check_agent(0, 0)
    vigil.check_agent(2, 10)
    with pytest.raises(AgentHungError, match="2 batches and completed none for 11 s"):
        vigil.check_agent(2, 11)
    vigil.agent_moved(11)
    vigil.check_agent(2, 20)
    vigil.check_agent(0, 40)
    vigil.check_agent(1, 50)
    with pytest.raises(AgentHungError):
        vigil.check_agent(1, 51)
