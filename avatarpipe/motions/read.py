"""One door for every motion format: the file's content says which it is."""

from pathlib import Path

from avatarpipe.body.model import Body
from avatarpipe.errors import InputError
from avatarpipe.motions import (
    aist,
    amass,
    motionx,
    motionx_json,
    neutral,
    procedural,
    smpl_npz,
    talkshow,
    threedpw,
    tram,
)
from avatarpipe.motions.configured import MADE_HERE
from avatarpipe.motions.content import Content, peek
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import HandStyle, ReadOptions, Up

# In the order in which they are tried; the neutral container first, since it also has smplx's names.
READERS = {
    "neutral": neutral, "amass": amass, "motionx": motionx, "motionx-json": motionx_json,
    "talkshow": talkshow, "aist": aist, "3dpw": threedpw, "tram": tram, "smpl_params": smpl_npz,
}  # fmt: skip
FORMATS = ("auto", *READERS, "procedural")


def read_motion(
    path: str | Path,
    format: str = "auto",
    body: Body | None = None,
    hands: HandStyle = "relaxed",
    person: int = 0,
    fps: float | None = None,
    up: Up = "auto",
) -> Motion:
    """The motion in a file of any format of READERS, in TRAM's folder, or made here ("procedural:walk", see procedural.py).

    format: a key of READERS, or "auto" to go by content. body: needed by all but the neutral format and procedural motions
    (hand mean, hand PCA, rest pelvis). The others: see ReadOptions. Raises InputError where the file is missing or broken,
    is of no known format, or lacks what its format must have.
    """
    if format not in FORMATS:
        raise InputError(f"motion format {format!r}: use one of {', '.join(FORMATS)}.")
    if format == "procedural" or str(path).startswith(MADE_HERE):
        return procedural.named(str(path), body, fps or procedural.FPS)
    if Path(path).is_dir():
        path = tram.track_file(Path(path), person)
    content = peek(path)
    reader = _detected(content) if format == "auto" else READERS[format]
    if reader is not neutral and body is None:
        raise InputError(
            f"{path}: reading this format needs a body: its hands and rest pelvis count."
        )
    return reader.read(content, ReadOptions(body, hands, person, fps, up))


def _detected(content: Content):
    found = next((reader for reader in READERS.values() if reader.recognises(content)), None)
    if found is None:
        tried = "; ".join(f"{name}: {reader.EXPECTS}" for name, reader in READERS.items())
        raise InputError(
            f"{content.path}: no known motion format. It is {_described(content)}. Tried {tried}. "
            "docs/motions.md describes them."
        )
    return found


def _described(content: Content) -> str:
    if content.keys:
        return f"a {content.kind} file with {', '.join(sorted(map(str, content.keys))[:12])}"
    if content.shape:
        return f"an array of shape {content.shape}"
    return f"a {content.kind} file without names"
