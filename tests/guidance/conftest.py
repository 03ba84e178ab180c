"""A Stable Diffusion of toy size on disk, and surfels on the fake body for it to judge."""

from dataclasses import replace
from functools import cache

import fake_diffusion
import pytest
import torch

from avatarpipe.body.skinning import bind, canonical_vertices
from avatarpipe.methods.layered.initial import surface_surfels
from avatarpipe.skinned_avatar import SkinnedLayer


@pytest.fixture(scope="session")
def toy_diffusion(tmp_path_factory) -> dict[str, str]:
    """Folders by the keys of layered.guidance: model, controlnet, vae; 32 pixel images."""
    return fake_diffusion.write_pipeline(tmp_path_factory.mktemp("diffusion"))


@pytest.fixture(scope="session")
def covered(fake_body):
    """A function that makes a layer of surfels on the canonical fake body, its tensors leaves that want gradients."""

    @cache
    def start(count: int, seed: int) -> SkinnedLayer:
        vertices = canonical_vertices(fake_body).numpy()
        cloud = surface_surfels(vertices, fake_body.faces, count, torch.tensor([0.8, 0.5, 0.3]), seed)
        return SkinnedLayer(cloud, bind(cloud.means, fake_body))

    def make(count: int = 600, seed: int = 0) -> SkinnedLayer:
        layer = start(count, seed)
        cloud = layer.cloud
        names = ("means", "quats", "scales", "opacities", "colors")
        leaves = {name: getattr(cloud, name).clone().requires_grad_() for name in names}
        return SkinnedLayer(replace(cloud, **leaves), layer.binding)

    return make
