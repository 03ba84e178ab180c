"""A tiny animatable model on the fake body: 300 Gaussians, 40 control points, 12 anchors."""

import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.mesh.closest import closest_points
from avatarpipe.methods.animatable.initial import initial_model
from avatarpipe.methods.animatable.rig import Rig, big_pose
from avatarpipe.methods.animatable.scaffold import sample_template
from avatarpipe.methods.animatable.settings import ModelSettings

TINY = ModelSettings(
    gaussians=300,
    controls=40,
    anchors=12,
    bases=5,
    control_bases=4,
    widths=(24, 16),
    gaussian_candidates=3,
)
BETAS = torch.linspace(-1.0, 1.0, 10)


def tiny_rig(body, **options) -> Rig:
    return Rig.of(body, BETAS, TINY.legs_apart_deg, **options)


def tiny_model(body, seed: int = 0, settings: ModelSettings = TINY):
    """As training starts it, on the body in its big pose."""
    template = body.vertices(big_pose(BETAS, settings.legs_apart_deg))[0].double().numpy()
    sampled = sample_template(template, body.faces, settings, seed)
    _, faces, barycentric, _ = closest_points(sampled.points.astype(float), template, body.faces)
    corners = body.lbs_weights[torch.from_numpy(body.faces[faces])]
    weights = (corners * torch.from_numpy(barycentric).float()[..., None]).sum(dim=1)
    return initial_model(sampled, weights, settings, seed)


def roughened(model, seed: int = 1):
    """`model` with every parameter moved at random, so that nothing cancels."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.parameters.items():
        size = 0.01 if name in ("controls", "control_bases") else 0.1
        model.parameters[name] = value + size * torch.randn(value.shape, generator=generator)
    return model


def random_pose(seed: int, size: float = 0.4) -> BodyParams:
    """A pose with all joints turned, of a body that stands elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    turned = {
        name: size * torch.randn(value.shape, generator=generator)
        for name, value in BodyParams.zeros().items()
        if name not in ("betas", "expression")
    }
    return BodyParams.zeros().replaced(betas=BETAS[None], **turned)
