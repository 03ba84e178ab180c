"""Which motions the viewer offers, and reading one for an avatar."""

from pathlib import Path

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.errors import InputError
from avatarpipe.motions.configured import MADE_HERE
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.procedural import MOTIONS
from avatarpipe.motions.read import read_motion

NONE = "no motion"


class MotionShelf:
    """Motions by name: files given, neutral ones of a results folder's motions/, those made here. Read when asked for."""

    def __init__(self, given: tuple[str, ...], results: str | Path, body: str | Path | None = None):
        self.body_file = body
        files = {Path(name).name: name for name in given}
        if len(files) < len(given):
            files = {name: name for name in given}  # two of one name: tell them apart by path
        folder = Path(results) / "motions"
        found = {p.name: str(p) for p in sorted(folder.glob("*.npz"))} if folder.is_dir() else {}
        made = {f"{name} (made here)": MADE_HERE + name for name in MOTIONS}
        self._sources = files | {k: v for k, v in found.items() if k not in files} | made
        self._read: dict[tuple, Motion] = {}

    @property
    def names(self) -> list[str]:
        """NONE first."""
        return [NONE, *self._sources]

    def read(self, name: str, avatar: Avatar) -> Motion | None:
        """The motion, in the avatar's captured shape where a body is known; None for NONE.

        Raises InputError where the file is no motion, or reading it takes a body and none is known.
        """
        if name == NONE:
            return None
        key = name, avatar.subject
        if key not in self._read:
            self._read[key] = self._for(self._sources[name], avatar)
        return self._read[key]

    def _for(self, source: str, avatar: Avatar) -> Motion:
        body = self._body(avatar)
        try:
            motion = read_motion(source, body=body)
        except InputError as error:
            if body is not None or "body" not in str(error):
                raise
            raise InputError(f"{error} Start the viewer with --body SMPLX_*.npz.") from error
        if body is None:
            return motion
        return motion.filled().shaped(avatar.captured.betas[0].cpu().numpy(), body)

    def _body(self, avatar: Avatar) -> Body | None:
        """The body given, else the avatar's own, else the one it was trained with if that is still there."""
        if self.body_file is not None:
            return Body(self.body_file)
        own = getattr(avatar, "body", None)
        if own is not None:
            return own if own.device.type == "cpu" else Body(own.path)
        inputs = getattr(avatar, "provenance", {}).get("inputs", {})
        recorded = inputs.get("body") if isinstance(inputs, dict) else None
        path = recorded.get("path") if isinstance(recorded, dict) else None
        return Body(path) if path and Path(path).is_file() else None
