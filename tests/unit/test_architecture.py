"""The house: which room may know which, how large a module may be, and which names say nothing."""

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
#: Package -> the packages of this project that it may import. It stands for docs/design.md, "The house".
MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "aws_client": frozenset(),
    "ledger": frozenset({"aws_client"}),
    "faust_kinesis": frozenset({"aws_client"}),
    "writer": frozenset({"aws_client", "ledger"}),
    "stream_bridge": frozenset({"aws_client", "ledger", "faust_kinesis"}),
    "projector": frozenset({"aws_client", "ledger", "faust_kinesis"}),
    "kinfold": frozenset({"aws_client", "ledger", "faust_kinesis", "writer", "stream_bridge", "projector"}),
}
LONGEST: Final = 400
MEDIAN: Final = 150
EMPTY_NAMES: Final = ("utils", "util", "helpers", "helper", "common", "manager", "misc")


@dataclass(frozen=True)
class Module:
    """A source file, by its path from the project's root."""

    path: str
    text: str

    @property
    def package(self) -> str:
        return self.path.split("/", 1)[0]


def project() -> list[Module]:
    return [
        Module(path.relative_to(ROOT).as_posix(), path.read_text())
        for package in MAY_IMPORT
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every import: at the top, in a function, for the type checker, by name."""
    for node in ast.walk(ast.parse(module.text)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name.split(".")[0]) for alias in names)
            case ast.ImportFrom(level=0, module=str(name)):
                yield node.lineno, name.split(".")[0]
            case ast.ImportFrom(level=level) if level > 0:
                # How far up a relative import goes is not worth working out: rooms are named.
                yield node.lineno, "(a relative import)"
            case ast.Call(func=ast.Attribute(attr="import_module" | "run_module"), args=[ast.Constant(str(name)), *_]):
                yield node.lineno, name.split(".")[0]
            case _:
                pass


def forbidden_imports(modules: list[Module]) -> list[str]:
    faults = []
    for module in modules:
        allowed = MAY_IMPORT[module.package] | {module.package}
        for line, package in imports(module):
            if package == "(a relative import)" or (package in MAY_IMPORT and package not in allowed):
                faults.append(f"{module.path}:{line}: {module.package} must not import {package}")
    return faults


def long_modules(modules: list[Module], longest: int = LONGEST, median: int = MEDIAN) -> list[str]:
    lengths = {module.path: len(module.text.splitlines()) for module in modules}
    faults = [f"{path}: {length} lines, at most {longest}" for path, length in lengths.items() if length > longest]
    middle = statistics.median(length for length in lengths.values() if length > 0)
    return [*faults, f"the median module has {middle:.0f} lines, under {median}"] if middle >= median else faults


def empty_names(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}: the name says nothing"
        for module in modules
        if any(word in EMPTY_NAMES for part in Path(module.path).with_suffix("").parts for word in part.split("_"))
    ]


def clients_at_import(modules: list[Module]) -> list[str]:
    """Statements at the top of a module that make an AWS client, a thread, or open a file."""
    made = {"client", "resource", "Clients", "Thread", "ThreadPoolExecutor", "open", "basicConfig", "FileHandler"}
    faults = []
    for module in modules:
        for statement in ast.parse(module.text).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    if name in made:
                        faults.append(f"{module.path}:{node.lineno}: {name}(...) at import")
    return faults


@pytest.mark.parametrize("rule", [forbidden_imports, long_modules, empty_names, clients_at_import])
def test_the_project_keeps_the_rule(rule: object) -> None:
    assert callable(rule)
    faults = rule(project())
    assert faults == [], "\n" + "\n".join(faults)


def test_every_package_of_the_project_has_its_place() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert found == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("ledger/a.py", "import os\nfrom writer.http.app import x\n", "ledger/a.py:2: ledger must not import writer"),
        ("ledger/a.py", "import faust_kinesis\n", "ledger/a.py:1: ledger must not import faust_kinesis"),
        ("faust_kinesis/a.py", "import ledger.errors\n", "faust_kinesis/a.py:1: faust_kinesis must not import ledger"),
        ("writer/a.py", "def f():\n    from projector import app\n", "writer/a.py:2: writer must not import projector"),
        (
            "stream_bridge/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kinfold import cli\n",
            "stream_bridge/a.py:3: stream_bridge must not import kinfold",
        ),
        (
            "projector/deep/a.py",
            "import importlib\nimportlib.import_module('writer.http.app')\n",
            "projector/deep/a.py:2: projector must not import writer",
        ),
        ("writer/a.py", "from ..projector import app\n", "writer/a.py:1: writer must not import (a relative import)"),
    ],
)
def test_an_import_up_or_sideways_is_found_with_its_line(path: str, text: str, fault: str) -> None:
    assert forbidden_imports([Module(path, text)]) == [fault]


def test_imports_down_pass() -> None:
    text = "import ledger.errors\nfrom faust_kinesis import source\nimport boto3\nfrom projector import app\n"
    assert forbidden_imports([Module("projector/a.py", text)]) == []


def test_long_modules_and_empty_names_and_clients_at_import_are_found() -> None:
    assert long_modules(
        [Module("ledger/a.py", "x\n" * 401), *[Module(f"ledger/{name}.py", "x\n") for name in "bc"]]
    ) == ["ledger/a.py: 401 lines, at most 400"]
    assert long_modules([Module("ledger/a.py", "x\n" * 150)]) == ["the median module has 150 lines, under 150"]
    assert len(empty_names([Module("ledger/aws_utils.py", ""), Module("writer/helpers/a.py", "")])) == 2
    assert clients_at_import([Module("ledger/a.py", "import boto3\nc = boto3.client('kinesis')\n")]) == [
        "ledger/a.py:2: client(...) at import"
    ]
