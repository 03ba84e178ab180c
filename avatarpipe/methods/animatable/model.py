"""The model: canonical Gaussians for a pose, and the same Gaussians carried into the pose."""

from dataclasses import dataclass

import torch

from avatarpipe.body.skinning import quaternion_product
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.methods.animatable.networks import evaluate
from avatarpipe.methods.animatable.products import vector_products
from avatarpipe.methods.animatable.scaffold import Scaffold

SCALE, ROTATION, OPACITY, COLOR = slice(0, 3), slice(3, 7), 7, slice(8, 11)
LOOKS = 11  # numbers of a Gaussian's look: log scale, quaternion, opacity logit, SH of degree 0
HARMONICS = 9  # and of its dependence on the view: three SH of degree 1 by three colours


@dataclass
class CanonicalGaussians:
    """N activated Gaussians in the canonical pose, and the (C, 3) offsets of the control points that shaped them."""

    means: torch.Tensor  # (N, 3) metres
    quats: torch.Tensor  # (N, 4) wxyz, unit
    scales: torch.Tensor  # (N, 3) metres
    opacities: torch.Tensor  # (N,)
    sh: torch.Tensor  # (N, 1 or 4, 3)
    control_offsets: torch.Tensor  # (C, 3) metres

    def cloud(self) -> GaussianCloud:
        """As they are, in canonical space."""
        return GaussianCloud(
            self.means, self.quats, self.scales, self.opacities, sh=self.sh, kind="ellipsoid"
        )


class AnimatableModel:
    """Parameters by name, on a fixed scaffold.

    looks (N, 11), harmonics (N, 9), shifts (N, 3): each Gaussian's own. look_bases (N, K, 11), harmonic_bases (N, K, 9):
    what it adds to them, blended by K coefficients. controls (C, 3), control_bases (C, L, 3): offsets of the control
    points. networks.*: what makes K + L coefficients at each anchor. Nothing is cached between calls.
    """

    def __init__(self, scaffold: Scaffold, parameters: dict[str, torch.Tensor], shift_limit: float):
        self.scaffold, self.parameters, self.shift_limit = scaffold, parameters, shift_limit

    def canonical(self, theta: torch.Tensor | None, harmonics: bool = True) -> CanonicalGaussians:
        """The Gaussians that the pose `theta` (63,) shapes, or, for None, the neutral ones.

        harmonics: whether colour depends on the view.
        """
        p = self.parameters
        offsets, looks, view = p["controls"], p["looks"], p["harmonics"] if harmonics else None
        if theta is not None:
            coefficients, control_coefficients = self._coefficients(theta)
            offsets = offsets + vector_products(control_coefficients, p["control_bases"])
            looks = looks + vector_products(coefficients, p["look_bases"])
            view = view + vector_products(coefficients, p["harmonic_bases"]) if harmonics else None
        means = self.scaffold.points + self.scaffold.point_controls(offsets)
        return _activated(means + self.shift_limit * p["shifts"].tanh(), looks, view, offsets)

    def _coefficients(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, K) at the Gaussians and (C, L) at the control points, interpolated from the anchors."""
        count = self.parameters["look_bases"].shape[1]
        at_anchors = evaluate(self.parameters, theta)
        return (
            self.scaffold.point_anchors(at_anchors[:, :count]),
            self.scaffold.control_anchors(at_anchors[:, count:]),
        )

    def posed(self, canonical: CanonicalGaussians, bones: torch.Tensor) -> GaussianCloud:
        """`canonical` carried by linear blend skinning; bones (55, 16) as `Rig.bones` gives them.

        Ellipsoids turn by the blended rotation; the shear of a blended matrix is left out of their shape. The direction
        of view is taken into the canonical pose by the blended matrix, which here turns the coefficients instead.
        """
        blended = self.scaffold.weights @ bones.to(self.scaffold.weights)
        linear, translation, turns = blended.split((9, 3, 4), dim=1)
        linear = linear.reshape(-1, 3, 3)
        return GaussianCloud(
            (linear * canonical.means[:, None]).sum(dim=-1) + translation,
            quaternion_product(turns, canonical.quats),
            canonical.scales,
            canonical.opacities,
            sh=turned(canonical.sh, linear),
            kind="ellipsoid",
        )


def turned(sh: torch.Tensor, linear: torch.Tensor) -> torch.Tensor:
    """(N, 1 or 4, 3) harmonics whose value along d is that of `sh` along the transpose of `linear` (N, 3, 3) times d.

    Degree 1 is k (-y c1 + z c2 - x c3) = k v.d with v = (-c3, -c1, c2), which `linear` turns.
    """
    if sh.shape[1] == 1:
        return sh
    constant, c1, c2, c3 = sh.unbind(dim=1)
    v = torch.stack([-c3, -c1, c2], dim=1)
    x, y, z = (linear[..., None] * v[:, None]).sum(dim=2).unbind(dim=1)  # bmm is slow for so many so small
    return torch.stack([constant, -y, z, -x], dim=1)


def _activated(
    means: torch.Tensor, looks: torch.Tensor, view: torch.Tensor | None, offsets: torch.Tensor
) -> CanonicalGaussians:
    sh = looks[:, None, COLOR]
    if view is not None:
        sh = torch.cat([sh, view.reshape(-1, 3, 3)], dim=1)
    return CanonicalGaussians(
        means,
        torch.nn.functional.normalize(looks[:, ROTATION], dim=1),
        looks[:, SCALE].exp(),
        looks[:, OPACITY].sigmoid(),
        sh,
        offsets,
    )
