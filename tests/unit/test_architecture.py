"""The house: how large a file and a folder may be, which names say nothing, what no import may do.

Which package and folder may import which is held by import-linter (``pyproject.toml``, ``make check``); here each
of its contracts is broken once, in a copy.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: Final[list[str]] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
#: Packages that are not shipped.
BESIDE: Final = ("bench", "simulation")
MAX_LINES: Final = 400
MAX_FILES: Final = 12
EMPTY_NAMES: Final = ("utils", "util", "helpers", "helper", "common", "manager", "misc")


@dataclass(frozen=True)
class Module:
    """A source file, by its path from the project's root."""

    path: str
    text: str


def modules_below(*folders: str) -> list[Module]:
    return [
        Module(path.relative_to(ROOT).as_posix(), path.read_text())
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def long_modules(modules: list[Module]) -> list[str]:
    lengths = {module.path: len(module.text.splitlines()) for module in modules}
    return [f"{path}: {length} lines, at most {MAX_LINES}" for path, length in lengths.items() if length > MAX_LINES]


def full_folders(modules: list[Module]) -> list[str]:
    files = Counter(Path(module.path).parent for module in modules if not module.path.endswith("/__init__.py"))
    return [f"{folder}: {count} files, at most {MAX_FILES}" for folder, count in files.items() if count > MAX_FILES]


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


Rule = Callable[[list[Module]], list[str]]


@pytest.mark.parametrize("rule", [long_modules, full_folders, empty_names, clients_at_import])
def test_the_product_keeps_the_rule(rule: Rule) -> None:
    faults = rule(modules_below(*PACKAGES))
    assert faults == [], "\n" + "\n".join(faults)


@pytest.mark.parametrize("rule", [long_modules, full_folders, empty_names])
def test_what_is_not_shipped_keeps_the_rule(rule: Rule) -> None:
    faults = rule(modules_below("tests", *BESIDE))
    assert faults == [], "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("rule", "modules", "faults"),
    [
        (long_modules, [Module("ledger/a.py", "x\n" * 401)], ["ledger/a.py: 401 lines, at most 400"]),
        (long_modules, [Module("ledger/a.py", "x\n" * 400)], []),
        (full_folders, [Module(f"ledger/{n}.py", "") for n in range(13)], ["ledger: 13 files, at most 12"]),
        (full_folders, [Module(f"ledger/{n}.py", "") for n in ("__init__", *range(12))], []),
        (empty_names, [Module("ledger/aws_utils.py", "")], ["ledger/aws_utils.py: the name says nothing"]),
        (empty_names, [Module("writer/helpers/a.py", "")], ["writer/helpers/a.py: the name says nothing"]),
        (
            clients_at_import,
            [Module("ledger/a.py", "import boto3\nc = boto3.client('kinesis')\n")],
            ["ledger/a.py:2: client(...) at import"],
        ),
    ],
)
def test_a_broken_rule_is_found(rule: Rule, modules: list[Module], faults: list[str]) -> None:
    assert rule(modules) == faults


def test_every_package_is_shipped_and_held_by_the_contracts() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", *BESIDE}
    assert found == set(PACKAGES)
    assert {*PACKAGES, *BESIDE} == set(PROJECT["tool"]["importlinter"]["root_packages"])
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").exists()] == []
    assert re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.M) == PACKAGES
    assert {f"!{name}" for name in PACKAGES} <= set((ROOT / ".dockerignore").read_text().splitlines())


def lint_imports(root: Path) -> "subprocess.CompletedProcess[str]":
    """Hold the sources below ``root`` against the contracts there; the installed project must not be read instead."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's sources and contracts, to be broken."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in (*PACKAGES, *BESIDE):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "results"))
    return root


@pytest.mark.parametrize(
    ("contract", "path", "imported"),
    [
        ("Floors", "aws_client/retry.py", "ledger.errors"),
        ("Floors", "ledger/store/tables.py", "writer.settings"),
        ("Floors", "ledger/store/tables.py", "faust_kinesis.records"),
        ("Floors", "faust_kinesis/errors.py", "ledger.errors"),
        ("Floors", "writer/cli.py", "projector.app"),
        ("Floors", "stream_bridge/settings.py", "kinfold.cli"),
        ("Floors", "ledger/store/tables.py", "betting.money"),
        ("The machine knows no domain", "kinfold/demo/audit.py", "betting.account"),
        ("Folders of betting", "betting/account.py", "betting.resources"),
        ("Floors", "simulation/actors/operator.py", "kinfold.tables"),
        ("Folders of ledger", "ledger/runtime/logs.py", "ledger.store.tables"),
        ("Folders of faust_kinesis", "faust_kinesis/leases/planner.py", "faust_kinesis.polling.source"),
        ("Folders of writer", "writer/commands/handler.py", "writer.http.schemas"),
        ("Folders of stream_bridge", "stream_bridge/provisioning/stream.py", "stream_bridge.watch.daemon"),
        ("Folders of projector", "projector/engine/fold.py", "projector.rebuild.rebuild"),
        ("Folders of kinfold", "kinfold/local/stack.py", "kinfold.demo.command"),
        ("Folders of kinfold", "kinfold/demo/command.py", "kinfold.testing"),
        ("Folders of simulation", "simulation/aws/tables/table.py", "simulation.world"),
        ("No circle", "projector/verification/comparison.py", "projector.verification.repair"),
    ],
)
def test_an_import_that_is_reversed_is_found(copy: Path, contract: str, path: str, imported: str) -> None:
    source = (copy / path).read_text()
    try:
        (copy / path).write_text(f"{source}\n\ndef _reversed() -> None:\n    import {imported}\n")
        result = lint_imports(copy)
    finally:
        (copy / path).write_text(source)
    assert result.returncode == 1
    assert any(line.startswith(contract) and " BROKEN" in line for line in result.stdout.splitlines()), result.stdout


def test_imports_keep_the_contracts(copy: Path) -> None:
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout
