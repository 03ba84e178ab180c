"""Which camera took an image, and at which frame: told by its name, such as "{camera}/{frame}.png"."""

import re
from dataclasses import dataclass
from pathlib import Path

from avatarpipe.errors import InputError

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

    def match(self, name: str) -> tuple[str | None, int | None] | None:
        """(camera, frame) as far as the template tells them; None where `name` is not of its form."""
        expression = re.escape(self.template)
        for field, group in _FIELDS.items():
            expression = expression.replace(re.escape(field), group)
        found = re.fullmatch(expression, name)
        if found is None:
            return None
        groups = found.groupdict()
        frame = groups.get("frame")
        return groups.get("camera"), None if frame is None else int(frame)

    def files(self, folder: Path) -> dict[tuple[str, int], str]:
        """{(camera, frame): name} of all files below `folder` that have the form; of templates that tell both."""
        names = (
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
        matches = ((self.match(name), name) for name in sorted(names))
        return {found: name for found, name in matches if found is not None}


def camera_name(text: str) -> str:
    """`text`, an image's path or a camera's label, as a name that files can have."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")
    if not name:
        raise InputError(f"camera {text!r}: it has no letter or digit to be named by.")
    return name
