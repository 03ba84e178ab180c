"""Look at avatars in a web browser: pose, shape, play motions, hide layers; during training too. Ctrl-C ends it.

avatarpipe view results
avatarpipe view results/vic --motion resources/motions/punch_poses.npz --body resources/smplx/SMPLX_MALE.npz
"""

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.steps.command import run_step
from avatarpipe.viewer.figure import Figure
from avatarpipe.viewer.follow import Follower, first_avatar
from avatarpipe.viewer.found import find_avatars
from avatarpipe.viewer.motions import MotionShelf
from avatarpipe.viewer.server import LOOPBACK, is_loopback, start_server, stop_server, url
from avatarpipe.viewer.stage import Stage
from avatarpipe.viewer.viewer import Viewer


@dataclass(frozen=True)
class View:
    """Opens nothing by itself: point a browser at the address that it prints."""

    path: Annotated[Path, tyro.conf.Positional]
    """A results folder, a subject's, or an avatar's; also that of a training which has left a snapshot."""
    motion: tuple[str, ...] = ()
    """Motion files of any format of docs/motions.md; those of PATH/motions and motions made here are offered anyway."""
    body: Path | None = None
    """SMPLX_*.npz of the motions' gender, where an avatar does not bring its own."""
    port: int = 8080
    """0 takes any free one."""
    host: str = LOOPBACK
    """Address to bind. Anything but this machine's own lets others look, without a password."""
    renderer: Literal["auto", "browser", "server"] = "auto"
    """Who draws: the browser, or the server, which auto chooses where there is CUDA."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""


def run(options: View) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    device = chosen_device(options.device)
    for motion in options.motion:
        if not motion.startswith("procedural:") and not Path(motion).exists():
            raise InputError(f"--motion {motion}: no such file.")
    listed = find_avatars(options.path)
    avatar, found = first_avatar(listed, device)
    shelf = MotionShelf(options.motion, options.path, options.body)
    stage = Stage(Figure(avatar, device), shelf, found, listed)
    follower = Follower(options.path, device)
    follower.want(found)
    drawn_by = options.renderer
    if drawn_by == "auto":
        drawn_by = "server" if device.type == "cuda" else "browser"
    server = start_server(options.host, options.port)
    try:
        viewer = Viewer(server, stage, drawn_by, follower)
        with _stopped_by_signals(viewer):
            _announce(options, server.get_port(), len(listed), drawn_by)
            viewer.run()
    finally:
        stop_server(server)
    logging.info("stopped")


@contextmanager
def _stopped_by_signals(viewer: Viewer) -> Iterator[None]:
    """Inside the block, Ctrl-C and SIGTERM end the viewer's loop."""
    ends = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(end, lambda *_: viewer.stop()) for end in ends]
    try:
        yield
    finally:
        for end, handler in zip(ends, before, strict=True):
            signal.signal(end, handler)


def _announce(options: View, port: int, count: int, drawn_by: str) -> None:
    if not is_loopback(options.host):
        logging.warning(
            "--host %s: whoever reaches this address sees the avatars and may pose them; there is no password. "
            "Safer: leave it out and use `ssh -L %d:localhost:%d`.", options.host, port, port,
        )  # fmt: skip
    avatars = "1 avatar" if count == 1 else f"{count} avatars"
    logging.info(
        "%s at %s, drawn by the %s; Ctrl-C ends it", avatars, url(options.host, port), drawn_by
    )


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
