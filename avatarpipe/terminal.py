"""Progress bars: where one can be drawn, and a line in the log where none can."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import track

Track = Callable[[Iterable, int, str], Iterable]
"""Wraps an iterable of known length and purpose, to show progress."""


def tracked(items: Iterable, total: int, what: str) -> Iterator:
    """The items, with a bar on the terminal that says `what` is going on and how far it is."""
    console = bar_console()
    if console is None:
        logging.info("%s: %d", what, total)
        yield from items
        return
    yield from track(items, total=total, description=what, console=console, transient=True)


def bar_console() -> Console | None:
    """A console on stderr where that is a terminal, else on the terminal that AVATARPIPE_PROGRESS names, else None.

    The workflow sets the variable: the output of its jobs goes to logs, but somebody may be watching.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        return console
    try:
        console = Console(file=open(os.environ["AVATARPIPE_PROGRESS"], "w"))  # noqa: SIM115
    except (KeyError, OSError):
        return None
    return console if console.is_terminal else None
