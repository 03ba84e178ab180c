"""An avatar that follows a motion: where it stands, and each frame as a picture."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError
from avatarpipe.evaluation.floor import Floor
from avatarpipe.evaluation.framing import shown_points
from avatarpipe.evaluation.rendering import View, render_views
from avatarpipe.gaussians.cloud import GaussianCloud

_SEEN = 24


@dataclass(frozen=True)
class Take:
    """F frames to draw: bodies, a camera each, and what is behind them. layers: of the avatar, all where None."""

    params: BodyParams
    cameras: Cameras
    floor: Floor
    layers: Sequence[str] | None = None

    def drawn(
        self, avatar: Avatar, frames: Iterable[int], device="cpu"
    ) -> Iterator[tuple[int, View, GaussianCloud]]:
        """Each of `frames` with what its camera sees, on black, and the Gaussians that it sees."""
        for frame in frames:
            cloud = posed(avatar, self.params[frame], self.layers, device)
            (view,) = render_views(cloud, self.cameras[frame])
            yield frame, view, cloud

    def picture(self, frame: int, view: View, cloud: GaussianCloud) -> np.ndarray:
        """(H, W, 3) sRGB in [0, 1]: the figure in front of the floor."""
        behind = self.floor.behind(self.cameras[frame], shown_points([cloud]))
        return view.rgb.numpy() + (1.0 - view.alpha.numpy()[..., None]) * behind


@torch.no_grad()
def posed(avatar: Avatar, params: BodyParams, layers=None, device="cpu") -> GaussianCloud:
    """The avatar's Gaussians in the pose of one body, on the device."""
    return avatar.pose(params.to(device), layers).to(device)


def some_frames(valid: np.ndarray) -> list[int]:
    """At most 24 of the valid frames, evenly spread: what is looked at to find floor and distance."""
    frames = np.flatnonzero(valid)
    count = min(_SEEN, len(frames))
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)].tolist()


def bodies_in(
    avatar: Avatar, params: BodyParams, frames: Sequence[int], layers=None, device="cpu"
) -> list[np.ndarray]:
    """The figure in each of `frames` as points (N, 3), as `shown_points` picks them; InputError where nothing shows."""
    try:
        return [shown_points([posed(avatar, params[frame], layers, device)]) for frame in frames]
    except ValueError as error:
        what = ", ".join(layers or avatar.layer_names)
        raise InputError(
            f"{avatar.subject}: {error} (layers {what}). Train the avatar again."
        ) from error


def lowest(bodies: Sequence[np.ndarray]) -> float:
    """Height in metres of the lowest point of any."""
    return float(min(points[:, 1].min() for points in bodies))


def raised(params: BodyParams, by: float) -> BodyParams:
    """The bodies moved up by so many metres."""
    return params.replaced(transl=params.transl + torch.tensor([0.0, by, 0.0]))
