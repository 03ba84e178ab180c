"""The neutral container itself, as a format among the others."""

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion, from_content, is_neutral
from avatarpipe.motions.reading import ReadOptions

EXPECTS = "npz with format_version, fps and flat_hand_mean"
recognises = is_neutral


def read(content: Content, options: ReadOptions) -> Motion:
    """The motion as it was saved; the options change nothing."""
    return from_content(content)
