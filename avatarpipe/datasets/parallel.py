"""Work on many independent items in threads; meant for work that OpenCV and the disk do, which lets the threads run."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

Item, Result = TypeVar("Item"), TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """work(item) of each item, as they get done; items are drawn, and results held, only a few a worker ahead."""
    items = iter(items)
    with _one_thread_each(), ThreadPoolExecutor(workers) as pool:
        pending = {pool.submit(work, item) for item in islice(items, 2 * workers)}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                pending |= {pool.submit(work, item) for item in islice(items, len(done))}
                for future in done:
                    yield future.result()
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
