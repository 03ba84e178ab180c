"""Which camera took an image, and at which frame: told by its name, such as "{camera}/{frame}.png"."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from avatarpipe.errors import InputError

_DEPTH = 8  # folders below a capture's
_FIELDS = {"{camera}": r"(?P<camera>[^/]+?)", "{frame}": r"(?P<frame>\d+)"}


@dataclass(frozen=True)
class NamePattern:
    """A template of image names with {camera} and {frame}, either or both; digits stand for {frame}."""

    template: str

    def __post_init__(self):
        stray = re.sub("|".join(map(re.escape, _FIELDS)), "", self.template)
        once = all(self.template.count(field) <= 1 for field in _FIELDS)
        if stray == self.template or not once or re.search(r"[{}]", stray):
            raise InputError(
                f"option names is {self.template!r}: use {{camera}}, {{frame}} or both, each once, such as "
                "{camera}/{frame}.png."
            )

    @property
    def tells_frames(self) -> bool:
        return "{frame}" in self.template

    @property
    def tells_both(self) -> bool:
        return self.tells_frames and "{camera}" in self.template

    @cached_property
    def _expression(self) -> re.Pattern:
        expression = re.escape(self.template)
        for field, group in _FIELDS.items():
            expression = expression.replace(re.escape(field), group)
        return re.compile(expression)

    def match(self, name: str) -> tuple[str | None, int | None] | None:
        """(camera, frame) as far as the template tells them; None where `name` is not of its form."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        groups = found.groupdict()
        frame = groups.get("frame")
        return groups.get("camera"), None if frame is None else int(frame)

    def files(self, folder: Path) -> dict[tuple[str, int], str]:
        """{(camera, frame): name} of all files below `folder` that have the form; of templates that tell both."""
        matches = ((self.match(name), name) for name in sorted(files_below(folder)))
        return {found: name for found, name in matches if found is not None}


def files_below(folder: Path) -> set[str]:
    """Names, seen from `folder`, of the files in it and in the folders and linked folders below, down to some depth."""
    found: set[str] = set()
    start = len(str(folder)) + 1
    for path, folders, names in os.walk(folder, followlinks=True):
        prefix = f"{path}/"[start:]
        found.update(f"{prefix}{name}" for name in names)
        if prefix.count("/") >= _DEPTH:  # a link that leads up again would never end
            folders.clear()
    return found


def mask_names(image: str, root: str) -> Iterator[str]:
    """What the mask of an image may be called in the folder of masks. image: seen from the capture, whose images are in `root`."""
    name = PurePosixPath(image) if root == "." else PurePosixPath(image).relative_to(root)
    short = [PurePosixPath(*name.parts[1:])] if root == "." and len(name.parts) > 1 else []
    for stem in (name, *short):
        yield f"{stem}.png"  # as COLMAP has it
        yield stem.with_suffix(".png").as_posix()
        yield stem.as_posix()


def camera_name(text: str) -> str:
    """`text`, an image's path or a camera's label, as a name that files can have."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")
    if not name:
        raise InputError(f"camera {text!r}: it has no letter or digit to be named by.")
    return name
