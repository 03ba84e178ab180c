"""A capture's images and masks on their way into another layout: which there are, and how they get there."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frames import frame_numbers
from avatarpipe.capture.manifest import check_name
from avatarpipe.errors import InputError
from avatarpipe.files import require_file


@dataclass(frozen=True)
class Picture:
    """What one camera saw of one frame."""

    frame: str
    camera: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Destination:
    """A folder that is being written, and where it will stand when it is whole."""

    draft: Path
    final: Path
    copies: bool  # of the images; else links, which lead to the capture's own files

    def below(self, name: str) -> "Destination":
        """The folder `name` in this one."""
        return replace(self, draft=self.draft / name, final=self.final / name)

    def put(self, source: Path, name: str) -> None:
        """Have the file `source` under `name`; links are relative, so that both may move together."""
        require_file(source, "The capture lists it; rerun the step that writes it.")
        target = self.draft / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.copies:
            shutil.copyfile(source, target)
        else:
            folder = (self.final / name).parent.resolve()
            target.symlink_to(os.path.relpath(source.resolve(), folder))


def chosen_frames(capture: Capture, spec: str) -> list[str]:
    """The names of the frames that `spec` ("all", "0-499:5", "11,12") means, in the capture's order."""
    if spec == "all":
        return list(capture.frame_names)
    strangers = [name for name in capture.frame_names if not name.isdecimal()]
    if strangers:
        raise InputError(f"frames {spec!r}: frame {strangers[0]!r} of {capture.path} is no number; use all.")
    wanted = set(frame_numbers(spec, [int(name) for name in capture.frame_names]))
    return [name for name in capture.frame_names if int(name) in wanted]


def pictures_of(capture: Capture, frames: Sequence[str]) -> list[Picture]:
    """What the cameras saw of `frames`, frame by frame; InputError where that is nothing."""
    wanted = set(frames)
    views = capture.views().itertuples(index=False, name=None)
    found = [_picture(capture, frame, camera) for frame, camera in views if frame in wanted]
    if not found:
        raise InputError(f"{capture.path}: no camera saw any of the frames {', '.join(frames[:5])}.")
    return found


def _picture(capture: Capture, frame: str, camera: str) -> Picture:
    check_name(frame, f"{capture.path}: frame")
    check_name(camera, f"{capture.path}: camera")
    mask = capture.image_path("masks", camera, frame) if capture.has("masks") else None
    return Picture(frame, camera, capture.image_path("images", camera, frame), mask)


def frames_in(pictures: Sequence[Picture]) -> list[str]:
    """The frames of the pictures, each once, in their order."""
    return list(dict.fromkeys(picture.frame for picture in pictures))
