"""Adaptive density control: clone or split the surfels that the images pull on, drop those that do nothing.

3DGS, section 5.2. The statistic is the mean norm of the screen-space gradient over the views that saw a surfel, in
normalised device units (pixels times half the image size), of the whole loss.
"""

from dataclasses import dataclass

import torch

from avatarpipe.gaussians.rotations import quats_to_matrices
from avatarpipe.training.surfels import TrainableSurfels


@dataclass(frozen=True)
class DensifySettings:
    """When and how surfels are added and dropped."""

    start: int = 500
    """First iteration at which density may change."""
    stop: int = 12000
    """Last such iteration."""
    every: int = 300
    """Iterations between changes."""
    gradient: float = 2e-4
    """Mean screen gradient above which a surfel is cloned or split."""
    split_above: float = 0.01
    """Metres: larger surfels are split in two, smaller ones cloned."""
    min_opacity: float = 0.005
    """Fainter surfels are dropped."""
    max_points: int = 300_000
    """No more surfels than this; those pulled on most go first."""

    def due(self, step: int) -> bool:
        """Whether density changes after iteration `step` (counted from 1)."""
        return self.start <= step <= self.stop and step % self.every == 0


class ScreenGradients:
    """The running sum of screen-gradient norms of N surfels and of the views that saw them."""

    def __init__(self, count: int, device):
        self.total = torch.zeros(count, device=device)
        self.views = torch.zeros(count, device=device)

    @torch.no_grad()
    def add(self, screen_grad: torch.Tensor, radii: torch.Tensor, width: int, height: int) -> None:
        """Add one step. screen_grad: (C, N, 2) dL/dpixel. radii: (C, N), 0 where a surfel was not drawn."""
        seen = radii.reshape(*radii.shape[:2], -1).amax(dim=-1) > 0
        x, y = screen_grad.unbind(dim=-1)
        norms = len(screen_grad) * torch.hypot(x * (width / 2), y * (height / 2))
        self.total += (norms * seen).sum(dim=0)
        self.views += seen.sum(dim=0)

    def mean(self) -> torch.Tensor:
        """(N,) mean norm over the views that saw each surfel."""
        return self.total / self.views.clamp_min(1)

    def beside(self, other: "ScreenGradients") -> "ScreenGradients":
        """One whose mean is the sum of both means: how one loss pulls on two kinds of views."""
        joined = ScreenGradients(0, self.total.device)
        joined.total, joined.views = self.mean() + other.mean(), torch.ones_like(self.views)
        return joined

    def state(self) -> dict[str, torch.Tensor]:
        """For a checkpoint."""
        return {"screen.total": self.total, "screen.views": self.views}

    @staticmethod
    def from_state(flat: dict[str, torch.Tensor]) -> "ScreenGradients":
        """The inverse of `state`."""
        restored = ScreenGradients(0, flat["screen.total"].device)
        restored.total, restored.views = flat["screen.total"], flat["screen.views"]
        return restored


@torch.no_grad()
def densify(
    surfels: TrainableSurfels,
    gradients: ScreenGradients,
    settings: DensifySettings,
    generator: torch.Generator,
    droppable: torch.Tensor | None = None,
) -> dict[str, int]:
    """Clone, split and drop in one pass; says how many of each.

    droppable: (N,) further surfels to drop. generator: of the CPU, so that a resumed run draws the same samples.
    """
    scale = surfels.raw["log_scales"].exp().amax(dim=1)
    faint = surfels.raw["opacity_logits"].sigmoid() < settings.min_opacity
    dropped = faint if droppable is None else faint | droppable
    grown = _most_pulled(gradients.mean(), dropped, settings, room=settings.max_points - len(surfels))
    split = grown & (scale > settings.split_above)
    clone = grown & ~split
    added = [_cloned(surfels, clone), _split(surfels, split, generator)]
    kept = torch.nonzero(~(dropped | split))[:, 0]
    surfels.rearrange(kept, {name: torch.cat([part[name] for part in added]) for name in added[0]})
    return {"cloned": int(clone.sum()), "split": int(split.sum()), "dropped": int(dropped.sum())}


def _most_pulled(
    pull: torch.Tensor, dropped: torch.Tensor, settings: DensifySettings, room: int
) -> torch.Tensor:
    """The surfels above the threshold, at most `room` of them."""
    pull = torch.where(dropped, 0.0, pull)
    grown = pull > settings.gradient
    if int(grown.sum()) > room:
        order = torch.argsort(pull, descending=True, stable=True)
        grown = torch.zeros_like(grown)
        grown[order[: max(room, 0)]] = True
    return grown


def _cloned(surfels: TrainableSurfels, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: value[mask].detach() for name, value in surfels.raw.items()}


def _split(surfels: TrainableSurfels, mask: torch.Tensor, generator: torch.Generator) -> dict:
    """Two surfels for one, drawn from it, each 1.6 times smaller (3DGS, section 5.2)."""
    twice = {name: value[mask].detach().repeat(2, *[1] * (value.dim() - 1)) for name, value in surfels.raw.items()}
    noise = torch.randn(len(twice["means"]), 2, generator=generator).to(twice["means"])
    local = noise * twice["log_scales"].exp()
    twice["means"] = twice["means"] + _in_plane(twice["quats"], local)
    twice["log_scales"] = twice["log_scales"] - torch.log(torch.tensor(1.6))
    return twice


def _in_plane(quats: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
    """(N, 3) the vectors whose coordinates on the surfels' two axes are `local` (N, 2)."""
    return (quats_to_matrices(quats)[:, :, :2] @ local[..., None])[..., 0]
