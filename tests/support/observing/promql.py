"""What an expression of PromQL goes by. As much of the language as the rules and the board use."""

import re
from typing import Final

#: Names that are not ours: Prometheus' own.
OWN: Final = {"up": frozenset[str](), "ALERTS": frozenset({"alertstate", "alertname", "severity"})}
#: What Prometheus puts on everything that it scrapes.
TARGET: Final = frozenset({"job", "instance"})
_SELECTOR = re.compile(r"\b(kinfold[\w:]*|up|ALERTS)\b(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)")


def selectors(expression: str) -> list[tuple[str, frozenset[str]]]:
    """Each series that is selected, and the labels that it is selected by."""
    return [(name, frozenset(_LABEL.findall(matchers))) for name, matchers in _SELECTOR.findall(expression)]


def grouped(expression: str) -> frozenset[str]:
    """The labels that results are grouped or joined by."""
    return frozenset(label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")) - {""}


def unknown(expression: str, known: dict[str, frozenset[str]], told: frozenset[str] = frozenset()) -> list[str]:
    """What the expression, or a text about its results that names ``told``, goes by and is not there."""
    found, there = [], set[str](TARGET)
    for name, labels in selectors(expression):
        if name not in known:
            found.append(name)
            continue
        there |= known[name]
        found += [f"{name}{{{label}}}" for label in sorted(labels - known[name] - TARGET)]
    by = grouped(expression)
    found += [f"by {label}" for label in sorted(by - there)]
    return found + [f"text {label}" for label in sorted(told - (by if " by (" in f" {expression}" else there))]
