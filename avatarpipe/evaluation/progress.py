"""A progress bar on the terminal, or a line in the log where there is none."""

import logging
from collections.abc import Callable, Iterable, Iterator

from rich.progress import track

from avatarpipe.terminal import bar_console

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
