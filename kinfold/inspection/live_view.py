"""A view that stays on the terminal and is drawn anew until somebody has seen enough."""

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

#: What Ctrl-C and SIGTERM end with: 128 and the signal's number.
INTERRUPTED: Final = 130
TERMINATED: Final = 143
Draw = Callable[[Console], None]


def frame(draw: Draw, width: int) -> Text:
    """What ``draw`` prints on a terminal of this width, as one piece."""
    console = Console(width=width, force_terminal=True)
    with console.capture() as captured:
        draw(console)
    return Text.from_ansi(captured.get().rstrip("\n"), overflow="fold")


def live(draw: Draw, every: float) -> None:
    """Draw on the terminal every so many seconds, until ``q`` is pressed.

    Ctrl-C ends with typer.Exit(130); what was drawn last stays.
    """
    console = Console()
    # The terminal is put back as it was, whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    view = Live(console=console, auto_refresh=False)
    with _ends_quietly(), _Interrupts() as interrupts, _keys() as pressed, view as shown:
        while True:
            began = time.monotonic()
            shown.update(frame(draw, console.width), refresh=True)
            with interrupts.allowed():
                if pressed(max(0.0, every - (time.monotonic() - began))) == "q":
                    return


class _Interrupts:
    """Ctrl-C ends a wait at once, and a frame only when it has been drawn; a second one ends that, too."""

    def __init__(self) -> None:
        self._asked = False
        self._allowed = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that Ctrl-C ends, also one that came before. Raises KeyboardInterrupt."""
        self._allowed = True
        try:
            if self._asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._allowed = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if self._allowed or again:
            raise KeyboardInterrupt


def follow(look: Callable[[], object], show: Callable[[], None], every: float) -> None:
    """Show again, in lines below each other, whenever what ``look`` gives has changed. Ctrl-C ends it."""
    seen: object = None
    with _ends_quietly():
        while True:
            if (now := look()) != seen:
                seen = now
                show()
            time.sleep(every)


def on_terminal() -> bool:
    """Whether a person looks: standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def _ends_quietly() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Wait for a key for some seconds at most, without the Enter after it; gives it, or nothing."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([terminal], [], [], seconds)
        key = os.read(terminal, 1) if ready else b""
        if ready and not key:
            # The terminal is gone.
            return "q"
        return key.decode(errors="replace")

    try:
        # Keys come at once and are not shown; Ctrl-C is a signal still.
        tty.setcbreak(terminal)
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
