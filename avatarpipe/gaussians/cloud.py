"""A set of 2D Gaussian surfels or 3D Gaussian ellipsoids as tensors.

Surfels are the discs of 2DGS (Huang et al. 2024), ellipsoids the blobs of 3DGS (Kerbl et al. 2023).
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

KINDS = ("surfel", "ellipsoid")
TENSORS = ("means", "quats", "scales", "opacities", "colors", "sh", "features")


@dataclass
class GaussianCloud:
    """N Gaussians, all values after activation (linear metres, probabilities, sRGB)."""

    means: Tensor
    """(N, 3) centres, metres, world frame."""
    quats: Tensor
    """(N, 4) rotations wxyz of any non-zero length; a surfel's normal is its third axis."""
    scales: Tensor
    """(N, 3) standard deviations in metres; (N, 2) is accepted for surfels, whose third is ignored."""
    opacities: Tensor
    """(N,) in [0, 1]."""
    colors: Tensor | None = None
    """(N, 3) sRGB in [0, 1]; None when `sh` gives the colour."""
    sh: Tensor | None = None
    """(N, K, 3) spherical harmonics, K one of 1, 4, 9, 16; used instead of `colors`."""
    kind: str = "surfel"
    """"surfel" or "ellipsoid"."""
    features: Tensor | None = None
    """(N, F) further channels composited like the colour."""

    def __post_init__(self):
        """Bring surfel scales to three columns and check every shape (ValueError)."""
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, expected one of {KINDS}")
        if self.scales.shape[-1:] == (2,) and self.kind == "surfel":
            self.scales = torch.cat([self.scales, torch.zeros_like(self.scales[:, :1])], dim=1)
        if (self.colors is None) == (self.sh is None):
            raise ValueError("give either colors (N, 3) or sh (N, K, 3), not both and not neither")
        for name, tail in _tails(self).items():
            _check_shape(name, getattr(self, name), (len(self.means), *tail))
        if self.sh is not None and self.sh.shape[1] not in (1, 4, 9, 16):
            raise ValueError(f"sh has {self.sh.shape[1]} coefficients, expected 1, 4, 9 or 16")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.means.device

    def detach(self) -> "GaussianCloud":
        """The same values outside of the autograd graph."""
        return self._map(lambda tensor: tensor.detach())

    def to(self, device) -> "GaussianCloud":
        """The same cloud on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def select(self, mask) -> "GaussianCloud":
        """The Gaussians that a boolean mask (N,) or an index tensor picks."""
        return self._map(lambda tensor: tensor[mask])

    def _map(self, function) -> "GaussianCloud":
        present = {name: getattr(self, name) for name in TENSORS}
        return replace(self, **{k: function(v) for k, v in present.items() if v is not None})

    @staticmethod
    def concatenate(clouds: list["GaussianCloud"]) -> "GaussianCloud":
        """One cloud of all Gaussians in order; kinds and fields must agree (ValueError)."""
        if not clouds:
            raise ValueError("nothing to concatenate: the list of clouds is empty")
        present = [
            tuple(f.name for f in fields(c) if getattr(c, f.name) is not None) for c in clouds
        ]
        if len(set(present)) > 1 or len({cloud.kind for cloud in clouds}) > 1:
            raise ValueError("clouds to concatenate differ in kind or in colors, sh, features")
        names = [name for name in TENSORS if getattr(clouds[0], name) is not None]
        joined = {name: torch.cat([getattr(c, name) for c in clouds]) for name in names}
        return GaussianCloud(**joined, kind=clouds[0].kind)


def _tails(cloud: GaussianCloud) -> dict[str, tuple]:
    """Shape after the leading N of each tensor present; None stands for any size."""
    tails = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "colors": (3,)}
    tails |= {"sh": (None, 3), "features": (None,)}
    return {name: tail for name, tail in tails.items() if getattr(cloud, name) is not None}


def _check_shape(name: str, tensor: Tensor, expected: tuple) -> None:
    fits = tensor.dim() == len(expected) and all(
        want is None or have == want for have, want in zip(tensor.shape, expected, strict=True)
    )
    if not fits:
        want = tuple("any" if size is None else size for size in expected)
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {want}")
