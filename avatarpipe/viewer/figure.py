"""What is shown: an avatar, its pose and shape, which layers, drawn how. Knows nothing of browsers."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.viewer.joints import turned

_HARDLY = 1e-5  # metres


class Figure:
    """The avatar on stage. `version` grows with every change, so that a renderer knows when to draw again."""

    def __init__(self, avatar: Avatar, device="cpu"):
        self.device = device
        self.version = 0
        self.size, self.opacity = 1.0, 1.0
        self.avatar: Avatar | None = None
        self.put(avatar)

    @property
    def standing(self) -> BodyParams:
        """The captured pose with the shape that is set now, on the CPU."""
        return self._captured.replaced(betas=self.params.betas)

    @torch.no_grad()
    def put(self, avatar: Avatar) -> None:
        """Show another avatar: a new state of the same subject keeps its pose, any other takes its captured one."""
        same = self.avatar is not None and self.avatar.subject == avatar.subject
        layers = self.layers if same and self.avatar.layer_names == avatar.layer_names else None
        self.avatar = avatar
        self._captured = avatar.captured[0].to("cpu")
        self.layers = avatar.layer_names if layers is None else layers
        self.follows_shape = _follows_shape(avatar)
        if not same:
            self.params, self.canonical = self._captured, False
        self._changed()

    def pose(self, params: BodyParams) -> None:
        """Take the pose and shape of `params` (one body)."""
        self.params, self.canonical = params, False
        self._changed()

    def turn(self, joint: str, rotation: list[float]) -> None:
        """Turn one joint to a rotation vector, radians."""
        self.pose(turned(self.params, joint, rotation))

    def show_canonical(self) -> None:
        """The Gaussians as stored, whatever the pose."""
        self.canonical = True
        self._changed()

    def shape(self, index: int, value: float) -> None:
        """Set one of the ten betas."""
        betas = self.params.betas.clone()
        betas[0, index] = value
        self.pose(self.params.replaced(betas=betas))

    def choose_layers(self, names: Sequence[str]) -> None:
        """Show these layers, perhaps none."""
        self.layers = tuple(name for name in self.avatar.layer_names if name in names)
        self._changed()

    def look(self, size: float | None = None, opacity: float | None = None) -> None:
        """Factors on the Gaussians' scales and opacities."""
        self.size = self.size if size is None else size
        self.opacity = self.opacity if opacity is None else opacity
        self._changed()

    def _changed(self) -> None:
        self.version += 1

    @torch.no_grad()
    def cloud(self) -> GaussianCloud | None:
        """The Gaussians to draw, world frame, on the avatar's device; None where no layer is chosen."""
        if not self.layers:
            return None
        if self.canonical:
            cloud = self._stored()
        else:
            cloud = self.avatar.pose(self.params.to(self.device), self.layers)
        if self.size == self.opacity == 1.0:
            return cloud
        return replace(
            cloud, scales=cloud.scales * self.size, opacities=cloud.opacities * self.opacity
        )

    def _stored(self) -> GaussianCloud:
        """The canonical Gaussians, moved to where the captured ones are, so that the camera need not follow."""
        cloud = self.avatar.canonical(self.layers)
        captured = self.avatar.pose(self._captured.to(self.device), self.layers)
        shift = _middle(captured) - _middle(cloud)
        return replace(cloud, means=cloud.means + shift)


def _middle(cloud: GaussianCloud) -> torch.Tensor:
    """(3,) the middle of a figure: of its height, and on average of the rest."""
    means = cloud.means
    middle = means.mean(dim=0)
    middle[1] = (means[:, 1].min() + means[:, 1].max()) / 2
    return middle


def _follows_shape(avatar: Avatar) -> bool:
    """Whether betas change it; animatable avatars keep the shape of their subject."""
    captured = avatar.captured[0]
    taller = captured.replaced(betas=captured.betas + 1.0)
    moved = avatar.pose(captured).means - avatar.pose(taller).means
    return float(moved.abs().max()) > _HARDLY
