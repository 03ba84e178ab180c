"""An animatable avatar on a CUDA card in real time: all that a pose decides is one compiled, recorded CUDA graph.

    performer = Performer(avatar, width=1024, height=1024)
    pixels = performer.draw(params, w2c, K)                   # (H, W, 3) uint8 on the card
"""

import numpy as np
import torch
from torch import Tensor

from avatarpipe.body.params import BodyParams
from avatarpipe.gaussians.rgb import Ellipsoids, Lens, composite, project, seen_colors
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.model import AnimatableModel
from avatarpipe.methods.animatable.networks import GROUP, POSE_SIZE
from avatarpipe.methods.animatable.rig import BODY

JOINTS = 55
_PARTS = {"theta": (POSE_SIZE,), "bones": (JOINTS, 16), "w2c": (1, 4, 4), "K": (1, 3, 3)}
_READ_WHOLE = ("look_bases", "harmonic_bases", "control_bases", GROUP)
_WARM_UPS = 3  # calls before a graph may be recorded


class Performer:
    """Draws `avatar`, which must be on CUDA (ValueError), into images of one size.

    The networks and bases, which every frame reads whole, are kept in `precision`; sums are in float32. near: metres.
    All frames are made in the same memory: take what `draw` returns before the next call.
    """

    def __init__(
        self,
        avatar: AnimatableAvatar,
        width: int,
        height: int,
        background=(1.0, 1.0, 1.0),
        near: float = 0.1,
        precision: torch.dtype = torch.float16,
    ):
        device = avatar.model.scaffold.points.device
        if device.type != "cuda":
            raise ValueError(f"the avatar is on {device}; drawing in real time needs CUDA")
        self.avatar = avatar
        self.background = torch.tensor(background, device=device)
        self._model = _narrowed(avatar.model, precision)
        self._sent, self._given = _Numbers("cpu"), _Numbers(device)
        self._lens = Lens(self._given.w2c, self._given.K, width, height, near)
        self._record()

    @torch.no_grad()
    def draw(self, params: BodyParams, w2c: np.ndarray, K: np.ndarray) -> Tensor:
        """(H, W, 3) sRGB bytes of one body seen by one camera: w2c (4, 4), K (3, 3) in pixels."""
        self._send(params, w2c, K)
        self._graph.replay()
        rgb = composite(self._projected, self._shown, self._lens, self.background)[0]
        return rgb.mul_(255.0).add_(0.5).clamp_(0.0, 255.0).to(torch.uint8)

    def _send(self, params: BodyParams, w2c: np.ndarray, K: np.ndarray) -> None:
        avatar, sent = self.avatar, self._sent
        pose = params.full_pose[0].numpy()
        sent.theta.numpy()[:] = avatar.projection.network_input(pose[BODY])
        sent.bones.numpy()[:] = avatar.rig.moved(pose, params.transl[0].numpy())
        sent.w2c.numpy()[:], sent.K.numpy()[:] = w2c, K
        self._given.all.copy_(self._sent.all, non_blocking=True)

    def _gaussians(self) -> tuple[Tensor, ...]:
        """The tensors of Ellipsoids for what was sent last."""
        avatar, given = self.avatar, self._given
        theta = given.theta if avatar.bases else None
        cloud = self._model.posed(self._model.canonical(theta, avatar.harmonics), given.bones)
        colors = seen_colors(cloud.sh, cloud.means, given.w2c)
        return cloud.means, cloud.quats, cloud.scales, cloud.opacities, colors

    @torch.no_grad()
    def _record(self) -> None:
        self._send(self.avatar.captured[0].to("cpu"), np.eye(4), np.eye(3))
        gaussians, side = torch.compile(self._gaussians, dynamic=False), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                project(Ellipsoids(*gaussians()), self._lens)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._shown = Ellipsoids(*gaussians())
            self._projected = project(self._shown, self._lens)


class _Numbers:
    """What decides a frame, in one piece of memory so that it travels at once."""

    def __init__(self, device):
        sizes = [int(np.prod(shape)) for shape in _PARTS.values()]
        pinned = torch.device(device).type == "cpu"
        self.all = torch.zeros(sum(sizes), device=device, pin_memory=pinned)
        parts = zip(_PARTS.items(), self.all.split(sizes), strict=True)
        self.theta, self.bones, self.w2c, self.K = (part.reshape(shape) for (_, shape), part in parts)


def _narrowed(model: AnimatableModel, precision: torch.dtype) -> AnimatableModel:
    parameters = {
        name: value.detach().to(precision) if name.startswith(_READ_WHOLE) else value.detach()
        for name, value in model.parameters.items()
    }
    return AnimatableModel(model.scaffold, parameters, model.shift_limit)
