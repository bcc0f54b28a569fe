import re

import pytest

from ledger import errors
from ledger.errors import KinfoldError, PermanentError, RefusedError, TransientError


def classes(root: type[KinfoldError]) -> set[type[KinfoldError]]:
    own = {found for found in root.__subclasses__() if found.__module__ == errors.__name__}
    return {root}.union(*map(classes, own))


def test_the_drawn_tree_has_every_class_once_and_no_other() -> None:
    drawn = re.findall(r"\b[A-Z]\w+Error\b", errors.__doc__ or "")
    assert sorted(drawn) == sorted(found.__name__ for found in classes(KinfoldError))


def test_the_drawn_depth_is_the_real_one() -> None:
    for line in (errors.__doc__ or "").splitlines():
        if (name := re.search(r"[A-Z]\w+Error\b", line)) and "──" in line:
            depth = line.index("──") // 4
            found = getattr(errors, name[0])
            assert len(found.__mro__) - len(KinfoldError.__mro__) == depth, line


def test_every_error_is_either_transient_or_permanent() -> None:
    for found in classes(KinfoldError) - {KinfoldError}:
        assert issubclass(found, TransientError) != issubclass(found, PermanentError)


@pytest.mark.parametrize("refusal", sorted(classes(RefusedError) - {RefusedError}, key=str))
def test_every_refusal_has_a_rule_of_its_own(refusal: type[RefusedError]) -> None:
    assert re.fullmatch("[a-z]+(-[a-z]+)*", refusal.rule)
    assert "rule" in vars(refusal)
    assert sum(vars(other).get("rule") == refusal.rule for other in classes(RefusedError)) == 1
