import re
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Final

import ledger
from ledger import errors
from ledger.aggregates import errors as domain_errors
from ledger.errors import KinfoldError, PermanentError, TransientError
from ledger.runtime import auth, problems
from ledger.store import errors as store_errors

MODULES: Final = {module.__name__: module for module in (errors, problems, auth, store_errors, domain_errors)}
DRAWING: Final = errors.__doc__ or ""

for found in walk_packages(ledger.__path__, "ledger."):
    import_module(found.name)


def classes(root: type[KinfoldError]) -> set[type[KinfoldError]]:
    own = {found for found in root.__subclasses__() if found.__module__.startswith("ledger.")}
    return {root}.union(*map(classes, own))


def test_the_drawn_tree_has_every_class_once_and_no_other() -> None:
    drawn = re.findall(r"\b[A-Z]\w+Error\b", DRAWING)
    assert sorted(drawn) == sorted(found.__name__ for found in classes(KinfoldError))


def test_the_drawn_depth_and_module_are_the_real_ones() -> None:
    module: ModuleType = errors
    for line in DRAWING.splitlines():
        if named := re.search(r"\((ledger\.[\w.]+)\)", line):
            module = MODULES[named[1]]
        for name in re.findall(r"[A-Z]\w+Error\b", line) if "──" in line else []:
            depth = line.index("──") // 4
            found = vars(module)[name]
            assert found.__module__ == module.__name__, line
            assert len(found.__mro__) - len(KinfoldError.__mro__) == depth, line


def test_every_error_is_either_transient_or_permanent() -> None:
    for found in classes(KinfoldError) - {KinfoldError}:
        assert issubclass(found, TransientError) != issubclass(found, PermanentError)
