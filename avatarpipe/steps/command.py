"""How every step becomes a command: options from a dataclass, bad input as one message and exit status 2."""

import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tyro

from avatarpipe.errors import InputError
from avatarpipe.faults import MACHINE_FAILED, explained
from avatarpipe.provenance_files import write_provenance
from avatarpipe.record import recording
from avatarpipe.steadiness import Inputs, named_files, refuse_changed
from avatarpipe.terminal import bar_console

BAD_INPUT = 2
INTERRUPTED = 130


def run_step(run: Callable, args: Sequence[str] | None = None) -> None:
    """Parse `args` (the command line by default) into the dataclass that `run` takes, and run it; then say how it was made.

    run: a function of one argument annotated with the step's options; the name of its module names the command.
    Exits with status 2 and the message alone on stderr where the input is bad, or changed while the step ran; with
    status 75 and what to do where the machine failed: no memory, no disk, no GPU any more.
    """
    (parameter,) = inspect.signature(run, eval_str=True).parameters.values()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    args = sys.argv[1:] if args is None else list(args)
    with_message(lambda: _announced(run, tyro.cli(parameter.annotation, prog=_program(run), args=args), args))


def _announced(run: Callable, options, args: Sequence[str]) -> None:
    """Run the step; who watches a terminal is told before what it makes, once where several processes make it."""
    out, console = getattr(options, "out", None), bar_console()
    if out is not None and console is not None and os.environ.get("RANK", "0") == "0":
        console.print(f"{_program(run)}: making {out}", markup=False, highlight=False, soft_wrap=True)
    _recorded(run, options, args)


def _recorded(run: Callable, options, args: Sequence[str]) -> None:
    """Run the step; where it comes to its end, its provenance file is written beside its output."""
    started, inputs = time.time(), Inputs(named_files(options))
    out = getattr(options, "out", None)
    with recording(out if isinstance(out, Path) else None) as record:
        run(options)
    refuse_changed(inputs.changed(record.inputs, record.written), out)
    write_provenance(_module(run), options, args, record, started)


def _module(run: Callable) -> str:
    """The full name of the module that defines `run`, also where it was started by `python -m`."""
    return getattr(inspect.unwrap(run).__globals__["__spec__"], "name", run.__module__)


def with_message(work: Callable[[], None]) -> None:
    """Do `work`; an InputError becomes its message on stderr and exit status 2, a fault of the machine one and status 75."""
    try:
        work()
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(BAD_INPUT) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        message = explained(error)
        if message is None:
            raise
        sys.stderr.write(f"error: {message}\n")
        raise SystemExit(MACHINE_FAILED) from None


def _program(run: Callable) -> str:
    code = inspect.unwrap(run).__code__
    return f"avatarpipe {code.co_filename.rpartition('/')[2].removesuffix('.py').replace('_', '-')}"
