"""What the machine did to a step, in one sentence that says what to do: no memory, no disk, no GPU any more."""

import errno
from concurrent.futures.process import BrokenProcessPool

MACHINE_FAILED = 75
"""Exit status of a step that may succeed when it is run again (EX_TEMPFAIL of sysexits.h)."""

_MEMORY = ("CUDA out of memory", "can't allocate memory", "Cannot allocate memory")
_DISK = ("No space left on device", "Disk quota exceeded", "File too large")
_STORAGE = ("Input/output error", "Stale file handle", "Read-only file system", "Transport endpoint is not connected")
_GPU = ("CUDA error", "CUDA driver error", "cuda runtime error", "CUDA unknown error")
_BUGS = ("device-side assert", "invalid argument", "illegal memory access", "misaligned address")
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_STORAGE_ERRORS = {errno.EIO, errno.EROFS, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT}

_FORBIDDEN = {errno.EACCES, errno.EPERM}
_TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}


def explained(error: BaseException) -> str | None:
    """What happened and what to do, where the machine failed and not the program; None for everything else."""
    text = _first_line(error)
    if isinstance(error, MemoryError) or _says(error, _MEMORY):
        where = "GPU memory" if "CUDA" in text else "memory"
        return f"no {where} left ({text}). Give the job more (docs/clusters.md), or run fewer at a time."
    if isinstance(error, BrokenProcessPool):
        return (
            "a worker process was killed, most often because memory ran out. "
            "Give the job more (docs/clusters.md), or run fewer at a time."
        )
    return _disk(error, text) or _gpu(error, text)


def _disk(error: BaseException, text: str) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    if number in _DISK_ERRORS or _says(error, _DISK):
        return f"the disk is full ({text}). Nothing half-written was kept: make room and run again."
    if number in _STORAGE_ERRORS or _says(error, _STORAGE):
        return f"the disk or file system failed ({text}). Nothing half-written was kept: run again once it is back."
    if number in _FORBIDDEN:
        return f"no right to read or write here ({text}). Give it to the user that runs the job, or choose another folder."
    if number in _TOO_MANY_OPEN:
        return f"too many files are open ({text}). Raise the limit (`ulimit -n 65536`), or run fewer at a time."
    return None


def _gpu(error: BaseException, text: str) -> str | None:
    if isinstance(error, RuntimeError) and _says(error, _GPU) and not _says(error, _BUGS):
        return (
            f"the GPU failed or is gone ({text}). Look at it with nvidia-smi, and run again: "
            "a training goes on from its last checkpoint."
        )
    return None


def _says(error: BaseException, phrases: tuple[str, ...]) -> bool:
    return any(phrase in str(error) for phrase in phrases)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
