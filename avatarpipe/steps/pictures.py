"""Draw an avatar for people: turntable, held-out views, canonical layers, new poses, training curves.

    avatarpipe pictures --avatar results/demo/layered/outer/avatar --capture results/demo/segment \\
        --curves results/demo/layered/*/curves.parquet --out results/demo/layered/pictures/pictures.json
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.capture.capture import Capture
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.curves import plot_curves
from avatarpipe.evaluation.poses import canonical_figure, novel_pose_figure
from avatarpipe.evaluation.sheets import compare_views, contact_sheet
from avatarpipe.evaluation.style import save_figure
from avatarpipe.evaluation.turntable import save_turntable
from avatarpipe.files import write_json
from avatarpipe.provenance import manifest_file, provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import read_table
from avatarpipe.terminal import tracked


@dataclass(frozen=True)
class Options:
    """Beside the manifest: turntable.webp, turntable.html, views.png, canonical.png, poses.png, and with curves curves.png."""

    avatar: Path
    """Folder of the avatar, or its avatar.json."""
    capture: Path
    """Folder of the capture, or its capture.json."""
    out: Path
    """Manifest to write last, pictures.json."""
    curves: tuple[Path, ...] = ()
    """curves.parquet of each training stage; the name of its folder names the stage."""
    garment: Literal["upper", "lower", "both"] = "upper"
    """Whose true outline is drawn over the layers."""
    split: Literal["train", "test"] = "test"
    """Cameras to compare at."""
    views: int = 6
    """How many of them."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""


def run(options: Options) -> None:
    """Draw each picture, then write the manifest."""
    device = chosen_device(options.device)
    avatar, capture = Avatar.load(options.avatar, device), Capture.load(options.capture)
    folder = options.out.parent
    save_turntable(avatar, folder, tracked, device)
    compared = compare_views(avatar, capture, options.split, options.views, options.garment, device)
    save_figure(contact_sheet(compared, avatar.layer_names), folder / "views.png")
    save_figure(canonical_figure(avatar, device=device), folder / "canonical.png")
    save_figure(novel_pose_figure(avatar, JOINT_NAMES, device=device), folder / "poses.png")
    names = ["turntable.webp", "turntable.html", "views.png", "canonical.png", "poses.png"]
    if options.curves:
        save_figure(plot_curves(_read_curves(options.curves)), folder / "curves.png")
        names.append("curves.png")
    write_json(options.out, _manifest(options, avatar, names))
    logging.info("%s: %s", folder, ", ".join(names))


def _read_curves(paths: Sequence[Path]) -> dict:
    """The tables by stage, in the order given."""
    tables = {path.parent.name: read_table(path, ["step", "name", "value"]) for path in paths}
    if len(tables) < len(paths):
        raise InputError(
            "--curves: two files lie in folders of one name; their stages cannot be told apart."
        )
    return tables


def _manifest(options: Options, avatar: Avatar, names: list[str]) -> dict:
    inputs = {
        "avatar": manifest_file(options.avatar, MANIFEST),
        "capture": manifest_file(options.capture, "capture.json"),
    }
    inputs |= {f"curves_{path.parent.name}": path for path in options.curves}
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
