"""The files of a driven avatar's frames in a folder that outlives a kill: what is drawn stays while it is still true."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.images import read_image

_STAMP = ".stamp.json"


@dataclass(frozen=True)
class Reel:
    """`count` frames in `folder`: frames/000000.png and on, and where `clouds`, ply/000000.ply and on.

    Files appear whole or not at all; of a frame the picture comes last.
    """

    folder: Path
    count: int
    clouds: bool = False

    def picture(self, frame: int) -> Path:
        """Where the picture of a frame lies."""
        return self.folder / "frames" / f"{frame:06d}.png"

    def cloud(self, frame: int) -> Path:
        """Where the Gaussians of a frame lie."""
        return self.folder / "ply" / f"{frame:06d}.ply"

    def resume(self, document: dict) -> None:
        """Keep the frames that were drawn of the same `document`, which must say all that they depend on; drop others."""
        stamp, text = self.folder / _STAMP, json.dumps(document, sort_keys=True)
        if stamp.is_file() and stamp.read_text() == text:
            return
        for path in [*self.folder.glob("frames/*.png"), *self.folder.glob("ply/*.ply")]:
            path.unlink()
        stamp.write_text(text)

    def missing(self) -> list[int]:
        """The frames that are not drawn yet."""
        return [frame for frame in range(self.count) if not self._is_drawn(frame)]

    def _is_drawn(self, frame: int) -> bool:
        return self.picture(frame).is_file() and (not self.clouds or self.cloud(frame).is_file())

    def images(self) -> Iterator[np.ndarray]:
        """The pictures (H, W, 3) uint8 in order, one at a time."""
        for frame in range(self.count):
            yield (read_image(self.picture(frame)) * 255.0 + 0.5).astype(np.uint8)
