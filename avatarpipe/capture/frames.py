"""Which frames of a sequence are meant: "12", "0-499", "0-499:5", "0,4,8", "all"."""

import re
from collections.abc import Sequence

from avatarpipe.errors import InputError

_PART = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


def frame_numbers(spec: str, available: Sequence[int]) -> list[int]:
    """The numbers that `spec` names, ascending and each once; both ends of a range count.

    Parts are joined by commas: a number, FIRST-LAST, FIRST-LAST:STEP, or "all". InputError where a part is none of
    these, or names a number that is not `available`.
    """
    wanted = {
        number for part in spec.split(",") for number in _numbers(part.strip(), available, spec)
    }
    absent = sorted(wanted - set(available))
    if absent or not wanted:
        span = f"{min(available)} to {max(available)}" if available else "none"
        raise InputError(
            f"frames {spec!r}: {_listed(absent)} not there; the sequence has {len(available)} frames ({span})."
        )
    return sorted(wanted)


def numbers_in(spec: str) -> set[int]:
    """The numbers that `spec` names, whether or not there are such frames; "" names none."""
    parts = [part.strip() for part in spec.split(",")] if spec else []
    return {number for part in parts for number in _numbers(part, (), spec)}


def _numbers(part: str, available: Sequence[int], spec: str) -> Sequence[int]:
    if part == "all":
        return available
    match = _PART.fullmatch(part)
    if match is None:
        raise InputError(
            f"frames {spec!r}: {part!r} is none; give numbers, FIRST-LAST, FIRST-LAST:STEP, joined by commas, or all."
        )
    first, last, step = match[1], match[2] or match[1], match[3] or "1"
    if int(last) < int(first) or int(step) < 1:
        raise InputError(
            f"frames {spec!r}: {part!r} is empty; give FIRST-LAST:STEP with FIRST <= LAST, STEP >= 1."
        )
    return range(int(first), int(last) + 1, int(step))


def _listed(numbers: list[int]) -> str:
    if not numbers:
        return "frames are"
    shown = ", ".join(map(str, numbers[:3])) + (
        f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    )
    return f"{shown} {'is' if len(numbers) == 1 else 'are'}"


def frame_name(number: int) -> str:
    """How a capture calls frame `number`: six digits, so that names sort as numbers do."""
    return f"{number:06d}"
