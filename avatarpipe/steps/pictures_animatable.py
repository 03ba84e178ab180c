"""Draw an animatable avatar for people: held-out views and poses, new poses, turntable, its projection, training curves.

    avatarpipe pictures-animatable --avatar results/vic/animatable/full/avatar --capture results/vic/normalize \\
        --baseline results/vic/animatable/skinned/avatar --out results/vic/animatable/pictures/pictures.json
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.cells import cells
from avatarpipe.evaluation.curves import plot_curves
from avatarpipe.evaluation.page import save_picture_page
from avatarpipe.evaluation.pose_sheets import pose_sheet, shown_in
from avatarpipe.evaluation.poses import pose_grid
from avatarpipe.evaluation.progress import tracked
from avatarpipe.evaluation.projection_figure import projection_figure
from avatarpipe.evaluation.style import save_figure
from avatarpipe.evaluation.turntable import save_animation, turntable
from avatarpipe.files import write_json
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.rig import BODY
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import read_table

FULL, SKINNED = "full", "skinned"
_KINDS = {
    "seen_pose_novel_view": "poses that training saw, from cameras that it did not",
    "novel_pose_seen_view": "novel poses, from training cameras",
    "novel_pose_novel_view": "novel poses, from held-out cameras",
    "seen_pose_seen_view": "poses and cameras of training",
}


@dataclass(frozen=True)
class Options:
    """Beside the manifest: turntable.webp, turntable.html, views.png, poses.png, projection.png and curves.png."""

    avatar: Path
    """Folder of the avatar, or its avatar.json; curves.parquet is looked for beside that folder."""
    capture: Path
    """Folder of the capture that it was trained on, or its capture.json."""
    out: Path
    """Manifest to write last, pictures.json."""
    baseline: str = ""
    """The same Gaussians moved by skinning alone, shown beside it."""
    novel_frames: str = ""
    """Frames that training left out, as it was told: 1200-1499, none; empty for what the capture's maker says."""
    views: int = 2
    """Views of each kind."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""


def run(options: Options) -> None:
    """Draw each picture, then write the manifest."""
    if options.views < 1:
        raise InputError(f"--views {options.views}: give 1 or more.")
    device = chosen_device(options.device)
    capture = Capture.load(options.capture)
    split = frame_split(capture, options.novel_frames)
    folders = _folders(options)
    avatars = {name: Avatar.load(folder, device) for name, folder in folders.items()}
    avatar, folder = avatars[FULL], options.out.parent
    if not isinstance(avatar, AnimatableAvatar):
        raise InputError(
            f"{options.avatar}: not an animatable avatar; `avatarpipe pictures` draws others."
        )
    _draw_turntable(avatar, folder, device)
    save_figure(pose_sheet(_rows(avatars, capture, split, options, device)), folder / "views.png")
    posers = {name: other.pose for name, other in avatars.items()}
    save_figure(
        pose_grid(posers, avatar.captured, JOINT_NAMES, device=device), folder / "poses.png"
    )
    novel = [capture.frame_names.index(frame) for frame in split.novel]
    thetas = capture.poses.full_pose[novel, BODY].numpy()
    save_figure(projection_figure(avatar.projection, thetas), folder / "projection.png")
    names = ["turntable.webp", "turntable.html", "views.png", "poses.png", "projection.png"]
    if curves := _curves(folders):
        save_figure(plot_curves(curves), folder / "curves.png")
        names.append("curves.png")
    write_json(options.out, _manifest(options, avatar, folders, names))
    logging.info("%s: %s", folder, ", ".join(names))


def _folders(options: Options) -> dict[str, Path]:
    """Of the avatar and its baseline."""
    paths = {FULL: options.avatar} | ({SKINNED: Path(options.baseline)} if options.baseline else {})
    return {name: path.parent if path.name == MANIFEST else path for name, path in paths.items()}


def _draw_turntable(avatar: Avatar, folder: Path, device) -> None:
    save_animation(turntable(avatar, tracked, device=device), folder / "turntable.webp")
    title = f"turntable of {avatar.subject}"
    save_picture_page(folder / "turntable.webp", folder / "turntable.html", title)


def _rows(avatars, capture: Capture, split: FrameSplit, options: Options, device) -> dict:
    """The views to show by what is new about them; of views that training saw, only where there are no others."""
    found = {cell.name: cell for cell in cells(capture, split, {"seen": 1, "novel": 1})}
    chosen = [name for name in _KINDS if name in found]
    chosen = [name for name in chosen if name != "seen_pose_seen_view" or len(chosen) == 1]
    lines = shown_in([found[name] for name in chosen], avatars, capture, options.views, device)
    return {_KINDS[name]: line for name, line in zip(chosen, lines, strict=True)}


def _curves(folders: dict[str, Path]) -> dict:
    """The tables by variant, of those that are there."""
    paths = {name: folder.parent / "curves.parquet" for name, folder in folders.items()}
    return {
        name: read_table(path, ["step", "name", "value"])
        for name, path in paths.items()
        if path.is_file()
    }


def _manifest(options: Options, avatar: Avatar, folders: dict, names: list[str]) -> dict:
    inputs = {f"avatar_{name}": folder / MANIFEST for name, folder in folders.items()}
    capture = options.capture
    inputs["capture"] = capture / "capture.json" if capture.is_dir() else capture
    return {
        "subject": avatar.subject,
        "pictures": names,
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
