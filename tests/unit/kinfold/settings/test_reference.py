"""The reference has every setting, and its page is what the settings say."""

import json

from typer.testing import CliRunner

from bench.report.results import ROOT
from kinfold.cli import app
from kinfold.settings.reference import READERS, all_settings, markdown
from ledger.runtime.settings import Settings


def kinds(kind: type[Settings]) -> set[type[Settings]]:
    return {kind}.union(*map(kinds, kind.__subclasses__()))


def test_every_class_of_settings_has_its_reader() -> None:
    ours = {kind for kind in kinds(Settings) if not kind.__module__.startswith("tests.")}
    assert set(READERS) == ours


def test_every_setting_says_what_it_is() -> None:
    assert [each.variable for each in all_settings() if not each.description] == []


def test_the_page_is_what_the_settings_say() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == markdown(), "make settings"


def test_a_setting_that_is_set_is_marked_and_its_value_is_not_shown() -> None:
    secret = {"KINFOLD_TOKEN": "s3cret-of-a-client"}
    text = CliRunner().invoke(app, ["settings"], env=secret).output
    assert "KINFOLD_TOKEN *" in text
    assert "KINFOLD_WRITER_PORT " in text
    lines = CliRunner().invoke(app, ["settings", "--json"], env=secret).output
    assert [each["variable"] for each in map(json.loads, lines.splitlines()) if each["isSet"]] == ["KINFOLD_TOKEN"]
    assert "s3cret" not in text + lines
