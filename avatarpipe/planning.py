"""What keeps Snakemake quick where it plans a great many jobs."""

import atexit
import gc
import inspect
from collections.abc import Callable


def of_wildcards(function: Callable) -> Callable:
    """`function` with its signature at hand: Snakemake asks for it up to three times a job, and Python else works it
    out each time."""
    function.__signature__ = inspect.signature(function)
    return function


def keep_every_object() -> None:
    """Stop Python from looking for garbage: a plan is millions of objects, and all of them stay.

    Python looks once more before it ends, whatever it was told; so all objects are declared permanent just before.
    """
    gc.disable()
    atexit.register(gc.freeze)


def look_for_garbage_again() -> None:
    """To be called when the plan stands and jobs begin to run; the plan's own objects are left alone."""
    gc.freeze()
    gc.enable()
