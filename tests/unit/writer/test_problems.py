import pytest

from ledger.runtime.openapi.document import Problem
from ledger.runtime.problems import ProblemType
from writer.problems import PROBLEMS


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.name)
def test_an_example_has_the_fields_of_the_schema_and_no_other(kind: ProblemType) -> None:
    example = kind.example()
    assert Problem.model_validate(example).model_dump(by_alias=True, exclude_none=True) == example
