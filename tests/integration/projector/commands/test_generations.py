"""The generations of a read model as an operator drops them."""

import pytest

from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.errors import ResourceError
from ledger.runtime.aws import Clients
from ledger.runtime.progress_bar import ProgressBars
from ledger.store.tables import Names
from projector.components import Components
from projector.rebuild.generations import GenerationInUseError, GenerationTables, NoSuchGenerationError
from projector.rebuild.rebuild import Rebuild

pytestmark = pytest.mark.integration


def test_a_generation_that_never_was_is_not_said_to_be_gone(components: Components) -> None:
    tables = GenerationTables(components.clients.dynamodb, components.names)
    with ProgressBars() as progress:
        Rebuild(components, progress).run([BALANCE_SUMMARY], segments=1)
    with pytest.raises(NoSuchGenerationError, match="there is no generation 3 of balance-summary; it has had 1 to 2"):
        tables.drop(BALANCE_SUMMARY, 3, print)
    with pytest.raises(GenerationInUseError):
        tables.drop(BALANCE_SUMMARY, 2, print)
    tables.drop(BALANCE_SUMMARY, 1, print)
    tables.drop(BALANCE_SUMMARY, 1, print)  # repeated after a lost answer: it was, and is gone
    assert [each.generation for each in tables.list(BALANCE_SUMMARY)] == [2]


def test_nor_is_one_in_use_where_no_projector_ever_started(ledger_tables: Names, clients: Clients) -> None:
    with pytest.raises(ResourceError, match="has no control row"):
        GenerationTables(clients.dynamodb, ledger_tables).drop(BALANCE_SUMMARY, 1, print)
