"""Write an avatar's layers as standard 3DGS PLY and as glTF with KHR_gaussian_splatting, canonical and posed.

avatarpipe export --avatar results/demo/layered/outer/avatar --out results/demo/layered/export/export.json
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import publishing
from avatarpipe.errors import InputError
from avatarpipe.export.layers import ellipsoids, layer_clouds, with_sh
from avatarpipe.export.splat_glb import save_splat_glb
from avatarpipe.export.worlds import Worlds
from avatarpipe.files import write_json
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.ply import save_ply
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step

TRANSFORM = "transform.json"


@dataclass(frozen=True)
class Options:
    """Gaussian files of an avatar for other programs: composite and layers, canonical and posed."""

    avatar: Path
    """Folder of the avatar, or its avatar.json."""
    out: Path
    """Manifest to write last, export.json; the files go beside it."""
    pose: Path | None = None
    """Body parameters (npz, first body) for the posed files; by default the captured pose."""
    capture: Path | None = None
    """A capture.json of the subject: transform.json then says how its world and that of its input files relate."""
    world: Literal["capture", "input"] = "capture"
    """Where posed files stand: in the capture's world (metres, +Y up), or in that of the input files. Canonical files
    stand in canonical space always."""
    formats: tuple[Literal["ply", "glb"], ...] = ("ply", "glb")
    """ply: standard 3DGS. glb: glTF with KHR_gaussian_splatting."""
    sh_degree: int = 3
    """Degree of the spherical harmonics in PLY; colours are constant, so 0 makes files a quarter of the size, but viewers
    that expect a fixed 3 refuse them. glTF says itself how many it has."""


def run(options: Options) -> None:
    """Write the files, transform.json where the capture is known, and the manifest last."""
    if options.sh_degree not in range(4):
        raise InputError(f"--sh-degree {options.sh_degree}: use 0, 1, 2 or 3.")
    if options.world == "input" and options.capture is None:
        raise InputError("--world input: only --capture tells where that is; give a capture.json of the subject.")
    avatar = Avatar.load(options.avatar)
    params = BodyParams.load(options.pose)[0] if options.pose else avatar.captured
    worlds = Worlds.of(Capture.load(options.capture)) if options.capture else None
    to_input = worlds.capture_to_input if options.world == "input" else None
    with publishing(options.out) as draft:
        files = {}
        for name, cloud in layer_clouds(avatar, params, to_input):
            space = "posed" if name.endswith("_posed") else "canonical"
            for path in _write(cloud, draft / name, avatar.subject, space, options):
                files[path.name] = {"count": len(cloud), "space": space}
            logging.info("%s: %d Gaussians", name, len(cloud))
        if worlds:
            write_json(draft / TRANSFORM, worlds.document(options.world))
        write_json(draft / options.out.name, _manifest(options, avatar, files))


def _write(cloud: GaussianCloud, stem: Path, subject: str, space: str, options: Options) -> list[Path]:
    """The files of one cloud in the formats wanted."""
    cloud, written = ellipsoids(cloud), []
    if "ply" in options.formats:
        written.append(stem.with_name(f"{stem.name}.ply"))
        save_ply(with_sh(cloud, options.sh_degree), written[-1])
    if "glb" in options.formats:
        written.append(stem.with_name(f"{stem.name}.glb"))
        notes = {"subject": subject, "space": space}
        if space == "posed":
            notes["world"] = options.world
        save_splat_glb(cloud, written[-1], stem.name, notes)
    return written


def _manifest(options: Options, avatar: Avatar, files: dict) -> dict:
    folder = options.avatar.parent if options.avatar.name == MANIFEST else options.avatar
    inputs = {"avatar": folder / MANIFEST}
    inputs |= {name: path for name in ("pose", "capture") if (path := getattr(options, name))}
    return {
        "subject": avatar.subject,
        "posed_world": options.world,
        "transform": TRANSFORM if options.capture else None,
        "files": files,
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
