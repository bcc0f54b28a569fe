import pytest

from ledger.runtime.problems import ProblemError
from ledger.runtime.request.preconditions import is_unchanged


@pytest.mark.parametrize(
    ("header", "same"),
    [(None, False), ('"7"', True), ('W/"7"', True), ('"6", "7"', True), ("*", True), ('"6"', False), ('"77"', False)],
)
def test_if_none_match_compares_weakly(header: str | None, same: bool) -> None:
    assert is_unchanged(None, header, '"7"') is same


@pytest.mark.parametrize("header", [None, '"7"', '"6",\t"7"', "*"])
def test_an_if_match_that_holds_lets_a_read_pass(header: str | None) -> None:
    assert not is_unchanged(header, None, '"7"')
    assert is_unchanged(header, '"7"', '"7"')


@pytest.mark.parametrize("header", ['"6"', 'W/"7"', '"6", "8"'])
def test_if_match_compares_strongly(header: str) -> None:
    with pytest.raises(ProblemError) as refused:
        is_unchanged(header, '"7"', '"7"')
    assert refused.value.type.status == 412


@pytest.mark.parametrize("header", ["", "7", '"7"x', '"a b"', "* *"])
def test_a_condition_that_is_none_is_malformed(header: str) -> None:
    for if_match, if_none_match in ((header, None), (None, header)):
        with pytest.raises(ProblemError) as refused:
            is_unchanged(if_match, if_none_match, '"7"')
        assert refused.value.type.status == 400
