"""Draw the inner layer alone, in canonical pose on black, as the held-out cameras would see it: what `score` looks at.

    avatarpipe draw-inner --avatar results/demo/layered/inner/avatar --capture results/demo/segment \\
        --out results/demo/layered/score/pictures/pictures.json
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.files import write_json
from avatarpipe.images import write_image
from avatarpipe.provenance import manifest_file, provenance
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked


@dataclass(frozen=True)
class Options:
    """Beside the manifest: CAMERA.png of each camera."""

    avatar: Path
    """Folder of the avatar, or its avatar.json; it must have a layer of the given name."""
    capture: Path
    """Folder of the capture, or its capture.json: whose cameras look."""
    out: Path
    """Manifest to write last, pictures.json."""
    layer: str = "inner"
    """The layer to draw, all others left out."""
    split: Literal["train", "test"] = "test"
    """Cameras to draw for."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""


def run(options: Options) -> None:
    """Draw each camera's picture, then write the manifest."""
    device = chosen_device(options.device)
    avatar, capture = Avatar.load(options.avatar, device), Capture.load(options.capture)
    if options.layer not in avatar.layer_names:
        names = ", ".join(avatar.layer_names)
        raise InputError(
            f"{options.avatar}: no layer {options.layer!r}; it has {names}. Give a layered avatar."
        )
    cloud, cameras = avatar.canonical([options.layer]).to(device), capture.cameras(options.split)
    if len(cameras) == 0:
        raise InputError(f"{capture.path}: has no cameras of split {options.split!r} to draw for.")
    entries = []
    for view in tracked(render_views(cloud, cameras), len(cameras), "pictures"):
        entries.append({"camera": view.camera, "file": f"{view.camera}.png"})
        write_image(options.out.parent / entries[-1]["file"], view.rgb.numpy())
    write_json(options.out, _manifest(options, avatar.subject, entries))
    logging.info("%s: %d pictures", options.out, len(entries))


def _manifest(options: Options, subject: str, entries: list[dict]) -> dict:
    inputs = {
        "avatar": manifest_file(options.avatar, MANIFEST),
        "capture": manifest_file(options.capture, "capture.json"),
    }
    return {
        "subject": subject,
        "stage": "inner",
        "split": options.split,
        "layer": options.layer,
        "pose": "canonical",
        "background": "black",
        "pictures": entries,
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
