"""Where a progress bar can be drawn."""

import os

from rich.console import Console


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
