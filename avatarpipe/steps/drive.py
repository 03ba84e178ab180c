"""Let an avatar follow a motion: a picture a frame, a video, and on demand a Gaussian PLY a frame.

    avatarpipe drive --avatar results/vic/animatable/full/avatar --motion results/motions/dance.npz \\
        --out results/vic/animatable/drive/dance/drive.json
    avatarpipe drive ... --camera orbit --height 1024 --ply

A run that is stopped goes on where it stopped: frames that are drawn stay, as long as avatar, motion and options do.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from matplotlib import colors

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import publishing
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.driving import Take, bodies_in, lowest, raised, some_frames
from avatarpipe.evaluation.films import save_films
from avatarpipe.evaluation.floor import Floor
from avatarpipe.evaluation.reel import Reel
from avatarpipe.evaluation.shots import Shot, captured_by, filmed, repeated
from avatarpipe.evaluation.style import PAPER
from avatarpipe.evaluation.threads import in_threads
from avatarpipe.export.layers import ellipsoids, with_sh
from avatarpipe.files import write_json
from avatarpipe.gaussians.ply import save_ply
from avatarpipe.images import write_image
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import Projecting
from avatarpipe.methods.animatable.rig import BODY
from avatarpipe.motions.followed import read_followed
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.retarget import Root, leg_ratio, retargeted
from avatarpipe.provenance import manifest_file, provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import write_table
from avatarpipe.terminal import tracked

_OF_CAPTURE = "capture:"
_SH_DEGREE = 3  # what viewers of standard files expect


@dataclass(frozen=True)
class Drive:
    """Beside the manifest: frames/000000.png and on, video.mp4, strip.png, drive.html, cameras.parquet, frames.parquet
    (what became of each pose), poses.npz, and with --ply ply/000000.ply and on."""

    avatar: Path
    """Folder of the avatar, or its avatar.json."""
    motion: Path
    """Motion as `avatarpipe convert-motion` writes it (.npz)."""
    out: Path
    """Manifest to write last, drive.json."""
    body: Path | None = None
    """SMPLX_*.npz of the subject: steps are scaled to the length of its legs. Left out, they keep the motion's length."""
    motion_body: Path | None = None
    """SMPLX_*.npz that the motion belongs to, where it is another."""
    capture: Path | None = None
    """Folder of the subject's capture, for one of its cameras."""
    camera: str = "front"
    """front (one place), orbit (once around), following (beside the figure), or capture:NAME, a camera of --capture."""
    azimuth: float = 20.0
    """Degrees from where the first frame faces, toward the subject's left, of the first camera."""
    height: int = 512
    """Of the frames in pixels."""
    width: int | None = None
    """Of the frames; by default what the figure needs, or for a camera of the capture its own shape."""
    background: str = "paper"
    """paper, white, black, #rrggbb or another name of a colour."""
    floor: bool = True
    """Draw a floor, which shows steps and takes a shadow."""
    layers: tuple[str, ...] = ()
    """Of the avatar; all by default."""
    root: Root = "travel"
    """travel: the motion's way, from where the subject was captured, on its floor. stay: on the spot. source: the motion's
    own coordinates, as they are."""
    fps: float | None = None
    """Frames a second; by default the motion's."""
    smooth: int = 1
    """Average poses over so many frames, an odd number."""
    repair: bool = False
    """Raise shoulders, straighten wrists, still the head: what fits to markers, such as AMASS's, are given."""
    expression: Literal["source", "none"] = "source"
    """Whether the motion's expressions count; a licensed model's mean nothing to the free body."""
    projection: Projecting = "auto"
    """Of animatable avatars: bring poses near those of training before the networks see them; auto does so with poses
    that training never saw."""
    ply: bool = False
    """Also write each frame's Gaussians as standard 3DGS PLY."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""


def run(options: Drive) -> None:
    """Place the figure, film it, write the video and what it shows, the manifest last."""
    device = chosen_device(options.device)
    avatar = _projecting(Avatar.load(options.avatar, device), options)
    motion = read_followed(options.motion, options.fps, options.repair, options.smooth)
    take, placed = _take(avatar, motion, options, device)
    document = provenance(_inputs(options), asdict(options))
    with publishing(options.out, resume=True) as draft:
        reel = Reel(draft, len(motion), options.ply)
        reel.resume(document)
        missing = reel.missing()
        _draw(avatar, take, missing, reel, options, device)
        table = _write_tables(draft, take, motion, avatar)
        save_films(reel, motion, f"{avatar.subject} follows {options.motion.stem}")
        manifest = _manifest(avatar, motion, take, options)
        manifest |= placed | _projection(avatar, table, options) | {"provenance": document}
        write_json(draft / options.out.name, manifest)
    logging.info(
        "%s: %d frames at %g a second, %d of them drawn before",
        options.out,
        len(motion),
        motion.fps,
        len(motion) - len(missing),
    )


def _projecting(avatar: Avatar, options: Drive) -> Avatar:
    """The avatar with the projection as wanted; InputError where it has none to switch, or lacks a layer."""
    if unknown := [name for name in options.layers if name not in avatar.layer_names]:
        raise InputError(
            f"--layers {' '.join(unknown)}: {options.avatar} has {', '.join(avatar.layer_names)}."
        )
    if isinstance(avatar, AnimatableAvatar):
        return avatar.projecting(options.projection)
    if options.projection == "on":
        raise InputError(
            f"--projection on: {options.avatar} follows poses by skinning alone; nothing in it projects them."
        )
    return avatar


def _take(avatar: Avatar, motion: Motion, options: Drive, device) -> tuple[Take, dict]:
    """What is drawn, and how the figure was placed for the manifest."""
    captured = avatar.captured.to("cpu")
    scale = _scale(captured, motion, options)
    params = retargeted(
        motion, captured, scale, options.root, expression=options.expression == "source"
    )
    layers = options.layers or None
    seen = some_frames(motion.valid)
    bodies = bodies_in(avatar, params, seen, layers, device)
    floor, rise = lowest(bodies), 0.0
    if options.root != "source":
        stood = lowest(bodies_in(avatar, captured, [0], layers, device))
        floor, rise = stood, stood - floor
        params = raised(params, rise)
        bodies = [points + np.array([0.0, rise, 0.0]) for points in bodies]
    cameras = _cameras(bodies, params, seen, motion.fps, options)
    color = _background(options.background)
    take = Take(params, cameras, Floor(color, floor if options.floor else None), layers)
    placed = {"steps_scaled_by": scale, "raised_m": rise, "floor_m": floor}
    return take, {"root": {"mode": options.root} | placed}


def _scale(captured: BodyParams, motion: Motion, options: Drive) -> float:
    """Of the motion's way, for the subject's legs; 1 where its body is not given."""
    if options.body is None:
        return 1.0
    body = Body(options.body)
    source = Body(options.motion_body) if options.motion_body else body
    return leg_ratio(body, captured.betas, source, motion.poses.betas)


def _cameras(bodies, params: BodyParams, seen, fps: float, options: Drive) -> Cameras:
    if not 16 <= options.height <= 8192 or not 16 <= (options.width or 16) <= 8192:
        raise InputError(
            f"--height {options.height} --width {options.width}: use 16 to 8192 pixels."
        )
    if options.camera.startswith(_OF_CAPTURE):
        if options.capture is None:
            raise InputError(
                f"--camera {options.camera}: give the capture that it belongs to, --capture."
            )
        name = options.camera.removeprefix(_OF_CAPTURE)
        own = captured_by(Capture.load(options.capture), name, options.height, options.width)
        return repeated(own, len(params))
    if options.camera not in get_args(Shot):
        raise InputError(
            f"--camera {options.camera}: use front, orbit, following, or {_OF_CAPTURE}NAME with --capture."
        )
    aspect = options.width and options.width / options.height
    way = params.transl.double().numpy()
    return filmed(options.camera, bodies, way, seen, fps, options.height, aspect, options.azimuth)


def _background(name: str) -> tuple[float, float, float]:
    if name == "paper":
        return PAPER
    try:
        return colors.to_rgb(name)
    except ValueError:
        raise InputError(
            f"--background {name}: use paper, white, black, or a colour such as #203040."
        ) from None


def _inputs(options: Drive) -> dict[str, Path]:
    """Every file that the frames depend on: of the avatar all, since its manifest does not name their content."""
    folder = options.avatar.parent if options.avatar.name == MANIFEST else options.avatar
    inputs = {
        f"avatar/{path.name}": path for path in sorted(folder.iterdir()) if path.is_file()
    } | {"motion": options.motion}
    given = {name: getattr(options, name) for name in ("body", "motion_body")}
    if options.capture is not None and options.camera.startswith(_OF_CAPTURE):
        given["capture"] = manifest_file(options.capture, "capture.json")
    return inputs | {name: path for name, path in given.items() if path is not None}


def _draw(avatar: Avatar, take: Take, frames, reel: Reel, options: Drive, device) -> None:
    """Files of `frames`: the next one is rendered while others are put before their floor and written."""

    def written(item) -> None:
        frame, view, cloud = item
        if options.ply:
            save_ply(with_sh(ellipsoids(cloud), _SH_DEGREE), reel.cloud(frame))
        write_image(reel.picture(frame), take.picture(frame, view, cloud))

    drawn = in_threads(written, take.drawn(avatar, frames, device))
    for _ in tracked(drawn, len(frames), f"{avatar.subject} follows {options.motion.stem}"):
        pass


def _write_tables(draft: Path, take: Take, motion: Motion, avatar: Avatar) -> pd.DataFrame:
    """cameras.parquet, poses.npz and frames.parquet; returns the last."""
    write_table(take.cameras.to_table(), draft / "cameras.parquet")
    take.params.save(draft / "poses.npz")
    rows = [
        {"frame": name, "time": float(time), "valid": bool(valid)}
        for name, time, valid in zip(take.cameras.names, motion.times, motion.valid, strict=True)
    ]
    if isinstance(avatar, AnimatableAvatar):
        thetas = take.params.full_pose[:, BODY].double().numpy()
        rows = [
            row | avatar.projection.report(theta) for row, theta in zip(rows, thetas, strict=True)
        ]
    table = pd.DataFrame(rows)
    write_table(table, draft / "frames.parquet")
    return table


def _projection(avatar: Avatar, table: pd.DataFrame, options: Drive) -> dict:
    """For the manifest: how many poses the networks saw changed; null where the avatar has no networks."""
    if not isinstance(avatar, AnimatableAvatar):
        return {"projection": None}
    return {
        "projection": {
            "mode": options.projection,
            "projected_frames": int(table["projected"].sum()),
            "clamped_frames": int((table["clamped"] > 0).sum()),
            "mean_moved_deg": float(table["moved_deg"].mean()),
            "least_unlike_training_deg": float(table["unlike_training_deg"].min()),
        }
    }


def _manifest(avatar: Avatar, motion: Motion, take: Take, options: Drive) -> dict:
    return {
        "subject": avatar.subject,
        "motion": options.motion.stem,
        "fps": motion.fps,
        "frames": len(motion),
        "not_valid": int((~motion.valid).sum()),
        "size": [take.cameras.width, take.cameras.height],
        "camera": options.camera,
        "layers": list(options.layers or avatar.layer_names),
        "video": "video.mp4",
        "pictures": "frames/%06d.png",
        "ply": "ply/%06d.ply" if options.ply else None,
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
