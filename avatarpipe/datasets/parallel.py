"""Work on many independent items in threads; meant for work that OpenCV and the disk do, which lets the threads run."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

Item, Result = TypeVar("Item"), TypeVar("Result")
AHEAD = 4
"""Items a worker that may be drawn before their results are taken: enough that none waits for a slow one."""


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """work(item) of each item, in their order; only a few items a worker are drawn, and results held, ahead."""
    items = iter(items)
    with _one_thread_each(), ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(work, item) for item in islice(items, AHEAD * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(work, item) for item in islice(items, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV would start threads of its own inside each of ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
