"""Small random scenes for the renderer's tests, in float64 so that a reference can be exact."""

import torch

from avatarpipe.cameras import orbit
from avatarpipe.gaussians.cloud import GaussianCloud

WIDTH, HEIGHT = 44, 36  # neither is a multiple of the tile size
BACKGROUND = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)


def random_fields(count=36, seed=0, sh=False, features=2, low=0.005, high=0.15):
    """Overlapping Gaussians in a box of 1.2 m around the origin."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    fields = {
        "means": (uniform(count, 3) - 0.5) * 1.2,
        "quats": torch.randn(count, 4, generator=generator, dtype=torch.float64),
        "scales": uniform(count, 3) * (high - low) + low,
        "opacities": uniform(count) * 0.98 + 0.01,
        ("sh" if sh else "colors"): uniform(count, 9, 3) - 0.5 if sh else uniform(count, 3),
    }
    return fields | ({"features": uniform(count, features)} if features else {})


def _edge_on(fields):
    """Discs whose normals are nearly perpendicular to the first camera's rays."""
    angle = torch.linspace(0.002, 0.2, len(fields["means"]), dtype=torch.float64) + torch.pi / 2
    zero = torch.zeros_like(angle)
    fields["quats"] = torch.stack([(angle / 2).cos(), zero, (angle / 2).sin(), zero], dim=1)
    return fields


def _crowded(fields):
    """Opaque and large: rays end early."""
    fields["opacities"] = 0.9 + 0.1 * fields["opacities"]
    fields["opacities"][:10] = 1.0
    return fields


def _spread(fields):
    """Behind, beside, before the near plane, past the far plane, and across the image border."""
    fields["means"] = fields["means"] * 4
    return fields


SCENES = {
    "plain": lambda: random_fields(seed=0),
    "harmonics": lambda: random_fields(seed=1, sh=True),
    "no features": lambda: random_fields(seed=2, features=0),
    "many features": lambda: random_fields(seed=3, features=11),
    "edge-on": lambda: _edge_on(random_fields(count=30, seed=4)),
    "crowded": lambda: _crowded(random_fields(count=40, seed=5, low=0.05, high=0.3)),
    "spread": lambda: _spread(random_fields(count=50, seed=6, low=0.05, high=0.4)),
    "tiny": lambda: random_fields(count=40, seed=7, low=0.0002, high=0.004),
}


def camera_tensors():
    """viewmats (3, 4, 4), Ks (3, 3, 3), width, height in float32."""
    near, other = (
        orbit([10, -20], [0], 1.5, 50, WIDTH, HEIGHT),
        orbit([5], [130], 1.4, 60, WIDTH, HEIGHT),
    )
    pairs = [views.tensors() for views in (near, other)]
    return torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs]), WIDTH, HEIGHT


def make_cloud(fields, kind, dtype=torch.float64, device="cpu"):
    """(cloud, leaves): the cloud of copies that require gradients."""
    leaves = {
        k: v.float().to(dtype).to(device).detach().requires_grad_() for k, v in fields.items()
    }
    return GaussianCloud(**leaves, kind=kind), leaves


IMAGES = ("rgb", "alpha", "depth", "median_depth", "normals", "distortion", "features")


def loss(images):
    """A loss that weighs every value of every output differently; `images` maps names to tensors."""
    generator = torch.Generator().manual_seed(9)
    total = 0
    for name in IMAGES:
        value = images[name]
        if value is not None and value.numel():
            weight = torch.rand(value.shape, generator=generator, dtype=torch.float64) - 0.3
            total = total + (weight.to(value) * value).sum()
    return total
