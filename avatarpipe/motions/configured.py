"""Which motions the configuration asks for: files by name, each with how it is read and what becomes of it."""

from dataclasses import dataclass
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import require_file

MADE_HERE = "procedural:"  # what stands in place of a file for motions that need none
DEFAULTS = {
    "format": "auto", "gender": "neutral", "person": 0, "hands": "relaxed", "up": "auto", "source_fps": None,
    "frames": ":", "fps": 30, "height": "source",
}  # fmt: skip
_TRACKS = ("hps/hps_track_{}.npy", "animation/hps_track_{}.npy")
_CAMERAS = ("hps/camera.npy", "camera.npy", "camera/camera.npy")


@dataclass(frozen=True)
class ConfiguredMotions:
    """The `motions` of a resolved configuration, asked by name; InputError where a name or a file is missing."""

    config: dict

    def option(self, name: str, key: str) -> object:
        """One option of a motion; its default where the configuration says nothing."""
        found = self.config["motions"].get(name)
        if found is None:
            raise InputError(f"{name}: no such motion; `motions` in config.yaml names them.")
        entry = {"file": found} if isinstance(found, str) else found
        return (DEFAULTS | entry)[key]

    def files(self, name: str) -> list[Path]:
        """What a motion is read from: its file, nothing where it is made here, track and cameras of a TRAM folder."""
        file = self.option(name, "file")
        if file.startswith(MADE_HERE):
            return []
        if not Path(file).is_dir():
            return [
                require_file(
                    file, f"`motions.{name}` in config.yaml names it; see docs/motions.md."
                )
            ]
        person = self.option(name, "person")
        names = [track.format(person) for track in _TRACKS] + list(_CAMERAS)
        found = [Path(file, part) for part in names if Path(file, part).is_file()]
        if not found:
            raise InputError(
                f"{file}: neither a motion file nor a folder of TRAM's results with {names[0]}. "
                f"`motions.{name}` in config.yaml names it."
            )
        return found

    def body_file(self, name: str) -> str | Path:
        """The body of the motion's gender: built here, or the user's licensed file."""
        body = f"SMPLX_{self.option(name, 'gender').upper()}.npz"
        if self.config["bodies"] == "free":
            return f"results/body/{body}"
        return require_file(
            Path(self.config["bodies"], body),
            "`bodies` in config.yaml names its folder; docs/licensed.md says how to get it.",
        )

    def shape(self) -> str:
        """Betas of a licensed model mean nothing to the free body, which therefore keeps its mean shape."""
        return "mean" if self.config["bodies"] == "free" else "source"

    def expression(self) -> str:
        """Nor do a licensed model's expressions."""
        return "none" if self.config["bodies"] == "free" else "source"
