"""A training that is told to end (time limit, preemption, Ctrl-C) ends after its iteration, so that this one can be saved.

Slurm and Kubernetes send SIGTERM half a minute before SIGKILL, a terminal SIGINT or, as it closes, SIGHUP.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IMPATIENCE_S = 2.0  # schedulers send the same signal to a job by several ways, all at once
_FOLLOWERS_S = 20.0  # a process that waits on a GPU for one that has left may never wake


class Stop:
    """The signal that has come, or None; raised as the exit status that a shell gives to a process that it ended."""

    def __init__(self, leads: bool):
        self.signal: int | None = None
        self._leads, self._since = leads, 0.0

    @property
    def status(self) -> int:
        """128 and the signal's number."""
        return 128 + self.signal

    def note(self, number: int, _frame=None) -> None:
        """Take a signal; a second one some seconds later ends the process at once."""
        if self.signal is None:
            self.signal, self._since = number, time.monotonic()
            if not self._leads:
                _exit_later(self.status)
        elif time.monotonic() - self._since > _IMPATIENCE_S:
            raise SystemExit(self.status)


def _exit_later(status: int) -> None:
    timer = threading.Timer(_FOLLOWERS_S, os._exit, [status])
    timer.daemon = True
    timer.start()


@contextmanager
def stop_noted(leads: bool = True) -> Iterator[Stop]:
    """Inside the block the signals that ask for an end are only noted; those that were ignored before still are.

    leads: whether this process is the one that saves. Others work on until it has left, then end with it, whatever that
    makes of what they compute. Outside of the main thread, which alone may take signals, nothing is noted.
    """
    stop = Stop(leads)
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS if here}
    taken = [number for number, action in before.items() if action not in (signal.SIG_IGN, None)]
    for number in taken:
        signal.signal(number, stop.note)
    try:
        yield stop
    except Exception:
        if leads or stop.signal is None:
            raise
        raise SystemExit(stop.status) from None
    finally:
        for number in taken:
            signal.signal(number, before[number])
