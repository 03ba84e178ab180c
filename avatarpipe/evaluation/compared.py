"""What measures and what draws the animatable method is given: an avatar, its baseline, and the capture of both."""

from dataclasses import dataclass
from pathlib import Path

from avatarpipe.avatar import MANIFEST
from avatarpipe.provenance import manifest_file

FULL, SKINNED = "full", "skinned"  # the avatar and the baseline


@dataclass(frozen=True)
class Compared:
    """Options of a step that looks at an animatable avatar beside its baseline."""

    avatar: Path
    """Folder of the avatar, or its avatar.json; it is called "full"."""
    capture: Path
    """Folder of the capture that it was trained on, or its capture.json."""
    out: Path
    """File to write last."""
    baseline: str = ""
    """The same Gaussians moved by skinning alone, trained alike; it is called "skinned"."""
    novel_frames: str = ""
    """Frames that training left out, as it was told: 1200-1499, none; empty for what the capture's maker says."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""

    def manifests(self) -> dict[str, Path]:
        """avatar.json of the avatar and, where there is one, of the baseline, by what they are called."""
        paths = {FULL: self.avatar} | ({SKINNED: Path(self.baseline)} if self.baseline else {})
        return {name: manifest_file(path, MANIFEST) for name, path in paths.items()}
