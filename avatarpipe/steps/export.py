"""Write an avatar's layers as standard 3DGS PLY files, canonical and posed.

avatarpipe export --avatar results/demo/layered/outer/avatar --out results/demo/layered/export/export.json
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.export.layers import ellipsoids, layer_clouds, with_sh
from avatarpipe.files import write_json
from avatarpipe.gaussians.ply import save_ply
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step


@dataclass(frozen=True)
class Options:
    """Standard 3DGS PLY files of an avatar: composite and layers, canonical and posed."""

    avatar: Path
    """Folder of the avatar, or its avatar.json."""
    out: Path
    """Manifest to write last, export.json; the PLY files go beside it."""
    pose: Path | None = None
    """Body parameters (npz, first body) for the posed files; by default the captured pose."""
    input_frame: Path | None = None
    """capture.json whose normalisation to undo: posed files then lie in the dataset's own world."""
    sh_degree: int = 3
    """Degree of the spherical harmonics written; colours are constant, so 0 makes files a quarter of the size, but
    viewers that expect a fixed 3 refuse them."""


def run(options: Options) -> None:
    """Write the PLY files, then the manifest."""
    if options.sh_degree not in range(4):
        raise InputError(f"--sh-degree {options.sh_degree}: use 0, 1, 2 or 3.")
    avatar = Avatar.load(options.avatar)
    params = BodyParams.load(options.pose)[0] if options.pose else avatar.captured
    to_input = None
    if options.input_frame:
        to_input = np.linalg.inv(Capture.load(options.input_frame).normalization)
    files = {}
    for name, cloud in layer_clouds(avatar, params, to_input):
        path = options.out.parent / f"{name}.ply"
        save_ply(with_sh(ellipsoids(cloud), options.sh_degree), path)
        files[path.name] = {
            "count": len(cloud),
            "space": "posed" if name.endswith("_posed") else "canonical",
        }
        logging.info("%s: %d Gaussians", path, len(cloud))
    write_json(options.out, _manifest(options, avatar, files))


def _manifest(options: Options, avatar: Avatar, files: dict) -> dict:
    folder = options.avatar.parent if options.avatar.name == MANIFEST else options.avatar
    inputs = {"avatar": folder / MANIFEST}
    inputs |= {name: path for name in ("pose", "input_frame") if (path := getattr(options, name))}
    return {
        "subject": avatar.subject,
        "posed_frame": "input" if options.input_frame else "capture",
        "files": files,
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
