"""What stays fixed in training: where Gaussians, control points and anchors are, and who listens to whom."""

from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.methods.animatable.mixing import (
    Mixing,
    inverse_distance_mixing,
    neighbour_differences,
)
from avatarpipe.methods.animatable.sampling import even_points
from avatarpipe.methods.animatable.settings import ModelSettings

TENSORS = ("points", "controls", "anchors", "weights")


@dataclass(frozen=True)
class TemplatePoints:
    """Points on the template, in the canonical pose, metres: where skinning weights are asked for."""

    points: np.ndarray  # (N, 3) float32, of the Gaussians
    controls: np.ndarray  # (C, 3) float32
    anchors: np.ndarray  # (F, 3) float32


def sample_template(
    vertices: np.ndarray, faces: np.ndarray, settings: ModelSettings, seed: int
) -> TemplatePoints:
    """Even points on the template mesh ((V, 3) metres, canonical pose; (F, 3)), the same for the same `seed`."""
    rngs = np.random.default_rng(seed).spawn(3)
    wanted = (
        (settings.gaussians, settings.gaussian_candidates),
        (settings.controls, settings.candidates),
        (settings.anchors, settings.candidates),
    )
    drawn = zip(wanted, rngs, strict=True)
    return TemplatePoints(*(even_points(vertices, faces, *numbers, rng) for numbers, rng in drawn))


@dataclass(frozen=True)
class Scaffold:
    """N points, C control points and F anchors with their sparse connections."""

    points: torch.Tensor  # (N, 3)
    controls: torch.Tensor  # (C, 3)
    anchors: torch.Tensor  # (F, 3)
    weights: torch.Tensor  # (N, 55) skinning weights, rows sum to 1
    point_controls: Mixing  # (N, C)
    point_anchors: Mixing  # (N, F)
    control_anchors: Mixing  # (C, F)
    control_differences: Mixing  # (C * neighbours, C)

    @staticmethod
    def build(
        points: np.ndarray,
        controls: np.ndarray,
        anchors: np.ndarray,
        weights: torch.Tensor,
        settings: ModelSettings,
        device="cpu",
    ) -> "Scaffold":
        """Connect the points: the same connections for the same points. ValueError where weights do not fit."""
        if len(weights) != len(points) or not torch.allclose(
            weights.sum(dim=1).cpu(), torch.ones(len(points)), atol=1e-3
        ):
            raise ValueError(
                f"skinning weights {tuple(weights.shape)} do not sum to 1 at each of {len(points)} points"
            )
        tensors = [
            torch.from_numpy(np.asarray(x, np.float32)).to(device)
            for x in (points, controls, anchors)
        ]
        near = settings.anchor_neighbours
        return Scaffold(
            *tensors,
            weights.float().to(device),
            inverse_distance_mixing(points, controls, settings.control_neighbours, device),
            inverse_distance_mixing(points, anchors, near, device),
            inverse_distance_mixing(controls, anchors, near, device),
            neighbour_differences(controls, settings.smooth_neighbours, device),
        )

    def state(self) -> dict[str, torch.Tensor]:
        """What `from_state` needs, by name."""
        return {name: getattr(self, name) for name in TENSORS}

    @staticmethod
    def from_state(
        state: dict[str, torch.Tensor], settings: ModelSettings, device="cpu"
    ) -> "Scaffold":
        """The inverse of `state`."""
        points = [state[name].cpu().numpy() for name in TENSORS[:3]]
        return Scaffold.build(*points, state["weights"], settings, device)
