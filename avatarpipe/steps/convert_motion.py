"""Convert a motion of any format into the neutral npz: y up, metres, full hands, one frame rate; with pictures of it.

    avatarpipe convert-motion --motion resources/motions/0005_Walking001_poses.npz \\
        --body resources/smplx/SMPLX_MALE.npz --fps 30 --out results/motions/walking.npz
    avatarpipe convert-motion --motion procedural:dance --body results/body/SMPLX_NEUTRAL.npz --out results/motions/dance.npz
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from avatarpipe.body.model import Body
from avatarpipe.errors import InputError
from avatarpipe.evaluation.turntable import save_animation
from avatarpipe.files import atomic_file, file_sha256, write_json
from avatarpipe.motions.configured import MADE_HERE
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.preview import clip, strip
from avatarpipe.motions.read import FORMATS, read_motion
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step


@dataclass(frozen=True)
class ConvertMotion:
    """Beside the npz: a strip of frames (.png), an animation (.webp) and, last, a manifest (.json) of the same name."""

    motion: str
    """File of a motion, TRAM's folder of results, or procedural:NAME[:SEED] (walk, dance, jumping-jack, turn)."""
    body: Path
    """SMPLX_*.npz of the motion's gender: its hands and rest pelvis count in the conversion, and it is what is drawn."""
    out: Path
    """The neutral npz, such as results/motions/NAME.npz."""
    format: Literal[FORMATS] = "auto"
    """Of the file; auto goes by its content."""
    person: int = 0
    """Which one, from 0, of a file with several."""
    hands: Literal["relaxed", "flat"] = "relaxed"
    """Of sources without hands."""
    up: Literal["auto", "y", "z", "-y"] = "auto"
    """Up axis of the source where it is not what its format has."""
    source_fps: float | None = None
    """Frame rate of the source where it is not what its file or format says."""
    frames: str = ":"
    """START:STOP of the source's frames (STOP not included); either may be left out."""
    fps: float = 30.0
    """Frames a second of what is written."""
    shape: Literal["source", "mean"] = "source"
    """Keep the source's betas, or take the body's mean shape, as for a body whose betas mean something else."""
    height: Literal["source", "floor"] = "source"
    """Keep the source's height, or move the motion up or down until its lowest point stands on the floor."""
    pictures: bool = True
    """Draw the strip and the animation."""


def run(options: ConvertMotion) -> None:
    """Read, cut, resample; write the motion, its pictures, then the manifest."""
    if options.out.suffix != ".npz":
        raise InputError(f"{options.out}: a motion is written as .npz.")
    if not (np.isfinite(options.fps) and options.fps > 0):
        raise InputError(f"--fps {options.fps}: a frame rate above 0 was expected.")
    body = Body(options.body)
    made = options.motion.startswith(
        MADE_HERE
    )  # at once at the rate wanted, so that it still loops
    rate = options.source_fps or (options.fps if made else None)
    source = read_motion(
        options.motion, options.format, body, options.hands, options.person, rate, options.up
    )
    motion = _prepared(source, body, options)
    manifest = options.out.with_suffix(".json")
    manifest.unlink(missing_ok=True)
    motion.save(options.out)
    names = _draw(motion, body, options.out) if options.pictures else []
    write_json(manifest, _manifest(options, source, motion, names))
    logging.info(
        "%s: %d frames at %g a second (source: %d at %g), %d not valid", options.out, len(motion), motion.fps,
        len(source), source.fps, int((~motion.valid).sum()),
    )  # fmt: skip


def _prepared(motion: Motion, body: Body, options: ConvertMotion) -> Motion:
    motion = motion.cut(*_range(options.frames))
    motion = motion.resampled(options.fps)
    if options.shape == "mean":
        motion = motion.shaped(np.zeros(10), body)
    return motion.grounded(body) if options.height == "floor" else motion


def _range(text: str) -> tuple[int | None, int | None]:
    start, colon, stop = text.partition(":")
    try:
        bounds = int(start) if start else 0, int(stop) if stop else None
    except ValueError:
        colon = ""
    if not colon:
        raise InputError(
            f"--frames {text!r}: START:STOP was expected, such as 30:200, 30: or :200."
        )
    return bounds


def _draw(motion: Motion, body: Body, out: Path) -> list[str]:
    picture, animation = out.with_suffix(".png"), out.with_suffix(".webp")
    with atomic_file(picture) as temporary:
        Image.fromarray(strip(motion, body)).save(temporary)
    save_animation(clip(motion, body), animation, seconds=len(motion) / motion.fps)
    return [picture.name, animation.name]


def _manifest(options: ConvertMotion, source: Motion, motion: Motion, names: list[str]) -> dict:
    file = Path(options.motion)
    inputs = {"body": options.body} | ({"motion": file} if file.is_file() else {})
    return {
        "motion": options.out.name,
        "sha256": file_sha256(options.out),
        "frames": len(motion),
        "fps": motion.fps,
        "gender": motion.gender,
        "not_valid": int((~motion.valid).sum()),
        "cameras": motion.w2c is not None,
        "loops": options.motion.startswith(MADE_HERE),
        "source": {"frames": len(source), "fps": source.fps},
        "pictures": names,
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
