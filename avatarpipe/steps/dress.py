"""Put the garment of one layered avatar on the body of another."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.cameras import orbit
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.gaussians.render import render
from avatarpipe.images import write_image
from avatarpipe.methods.layered.dressing import dressed
from avatarpipe.provenance import provenance
from avatarpipe.skinned_avatar import SkinnedAvatar
from avatarpipe.steps.command import run_step


@dataclass
class Dress:
    """A new avatar, and preview.png beside its folder."""

    wearer: Path
    """avatar.json of the outer stage: whose body, shape and pose."""
    owner: Path
    """avatar.json of the outer stage: whose garment."""
    out: Path
    """The new avatar's manifest, such as results/dressed/ada-in-bob/avatar/avatar.json."""
    clearance: float = 0.004
    """Metres that the garment keeps off what the wearer has under it."""
    size: int = 512
    """Pixels a side of each of the preview's four views."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(options: Dress) -> None:
    """Swap, lift, save, and render four views."""
    device = chosen_device(options.device)
    avatars = []
    for path in (options.wearer, options.owner):
        avatar = Avatar.load(path, device)
        if not isinstance(avatar, SkinnedAvatar):
            raise InputError(f"{path}: not a layered avatar; give one of the layered method.")
        avatars.append(avatar)
    made_by = provenance({"wearer": options.wearer, "owner": options.owner}, asdict(options))
    result = replace(dressed(*avatars, options.clearance), provenance=made_by)
    result.save(options.out.parent)
    write_image(options.out.parent.parent / "preview.png", preview(result, options.size))


@torch.no_grad()
def preview(avatar: SkinnedAvatar, size: int) -> np.ndarray:
    """(size, 4 size, 3) the avatar in its captured pose from the front, both sides and behind, on light grey."""
    cameras = orbit((0,), (0, 90, 180, 270), 2.0, 60.0, size, size)
    views = render(avatar.pose(avatar.captured), cameras, background=(0.93, 0.93, 0.93)).rgb
    return np.concatenate(list(views.cpu().numpy()), axis=1)


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
