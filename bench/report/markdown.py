"""Tables in Markdown, and the format of their figures."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A table whose first ``texts`` columns are text; the others are figures."""
    marks = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, marks, *rows])


def figure(value: float) -> str:
    """Three digits that count, and no more: 12,300, 123, 1.23, 0.012."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        digits = len(str(int(abs(value)))) - 3
        return f"{round(value, -digits):,.0f}"
    for decimals in (1, 2, 3, 4):
        if abs(value) >= 10 ** (2 - decimals) or decimals == 4:
            return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    raise AssertionError(value)


def times(ratio: float) -> str:
    """A ratio: 12.3 x."""
    return f"{ratio:.1f} x"
