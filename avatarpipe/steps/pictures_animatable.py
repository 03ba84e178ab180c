"""Draw an animatable avatar for people: held-out views and poses, new poses, turntable, its projection, training curves.

    avatarpipe pictures-animatable --avatar results/vic/animatable/full/avatar --capture results/vic/normalize \\
        --baseline results/vic/animatable/skinned/avatar --out results/vic/animatable/pictures/pictures.json
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.cells import cells
from avatarpipe.evaluation.compared import FULL, Compared
from avatarpipe.evaluation.curves import plot_curves
from avatarpipe.evaluation.pose_sheets import pose_sheet, shown_in
from avatarpipe.evaluation.poses import pose_grid
from avatarpipe.evaluation.projection_figure import projection_figure
from avatarpipe.evaluation.style import save_figure
from avatarpipe.evaluation.turntable import save_turntable
from avatarpipe.files import write_json
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.rig import BODY
from avatarpipe.provenance import manifest_file, provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import read_table
from avatarpipe.terminal import tracked

_KINDS = {
    "seen_pose_novel_view": "poses that training saw, from cameras that it did not",
    "novel_pose_seen_view": "novel poses, from training cameras",
    "novel_pose_novel_view": "novel poses, from held-out cameras",
    "seen_pose_seen_view": "poses and cameras of training",
}


@dataclass(frozen=True)
class Options(Compared):
    """Beside the manifest: turntable.webp, turntable.html, views.png, poses.png, projection.png and, where the curves.parquet of
    the avatars' training are beside their folders, curves.png."""

    out: Path
    """Manifest to write last, pictures.json."""
    views: int = 2
    """Views of each kind."""


def run(options: Options) -> None:
    """Draw each picture, then write the manifest."""
    if options.views < 1:
        raise InputError(f"--views {options.views}: give 1 or more.")
    device = chosen_device(options.device)
    capture = Capture.load(options.capture)
    split = frame_split(capture, options.novel_frames)
    manifests = options.manifests()
    avatars = {name: Avatar.load(path, device) for name, path in manifests.items()}
    avatar, folder = avatars[FULL], options.out.parent
    if not isinstance(avatar, AnimatableAvatar):
        raise InputError(
            f"{options.avatar}: not an animatable avatar; `avatarpipe pictures` draws others."
        )
    save_turntable(avatar, folder, tracked, device)
    save_figure(pose_sheet(_rows(avatars, capture, split, options, device)), folder / "views.png")
    posers = {name: other.pose for name, other in avatars.items()}
    save_figure(
        pose_grid(posers, avatar.captured, JOINT_NAMES, device=device), folder / "poses.png"
    )
    novel = [capture.frame_names.index(frame) for frame in split.novel]
    thetas = capture.poses.full_pose[novel, BODY].numpy()
    save_figure(projection_figure(avatar.projection, thetas), folder / "projection.png")
    names = ["turntable.webp", "turntable.html", "views.png", "poses.png", "projection.png"]
    if curves := _curves(manifests):
        save_figure(plot_curves(curves), folder / "curves.png")
        names.append("curves.png")
    write_json(options.out, _manifest(options, avatar, manifests, names))
    logging.info("%s: %s", folder, ", ".join(names))


def _rows(avatars, capture: Capture, split: FrameSplit, options: Options, device) -> dict:
    """The views to show by what is new about them; of views that training saw, only where there are no others."""
    found = {cell.name: cell for cell in cells(capture, split, {"seen": 1, "novel": 1})}
    chosen = [name for name in _KINDS if name in found]
    chosen = [name for name in chosen if name != "seen_pose_seen_view" or len(chosen) == 1]
    lines = shown_in([found[name] for name in chosen], avatars, capture, options.views, device)
    return {_KINDS[name]: line for name, line in zip(chosen, lines, strict=True)}


def _curves(manifests: dict[str, Path]) -> dict:
    """The tables by avatar, of those that are there."""
    paths = {name: path.parent.parent / "curves.parquet" for name, path in manifests.items()}
    return {
        name: read_table(path, ["step", "name", "value"])
        for name, path in paths.items()
        if path.is_file()
    }


def _manifest(options: Options, avatar: Avatar, manifests: dict, names: list[str]) -> dict:
    inputs = {f"avatar_{name}": path for name, path in manifests.items()}
    inputs["capture"] = manifest_file(options.capture, "capture.json")
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
