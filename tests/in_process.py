"""`avatarpipe ARGS` in the process of the tests."""

import logging
from dataclasses import dataclass

from avatarpipe.__main__ import main


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status, what it printed, and what it said."""

    status: int
    printed: str
    said: str


def run_command(args, capsys, caplog) -> Done:
    """Run `avatarpipe ARGS`; capsys and caplog are pytest's."""
    caplog.clear()
    status = 0
    with caplog.at_level(logging.INFO):
        try:
            main(list(args))
        except SystemExit as end:
            status = end.code
    captured = capsys.readouterr()
    return Done(status, captured.out, caplog.text + captured.err)
