"""The fused photometric loss against the plain one, which is checked against scikit-image."""

import pytest
import torch

from avatarpipe.training.losses import dssim, photometric, weighted_l1

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


@pytest.mark.parametrize("size", [(40, 36), (7, 5), (300, 401)])
@pytest.mark.parametrize("weighted", [False, True])
def test_fused_photometric_equals_the_plain_one(size, weighted):
    generator = torch.Generator("cuda").manual_seed(0)
    image, target = (
        torch.rand(2, *size, 3, device="cuda", generator=generator) for _ in range(2)
    )
    weight = (target[..., :1] > 0.3).float() if weighted else 1.0
    leaves = [image.clone().requires_grad_() for _ in range(2)]
    plain = 0.8 * weighted_l1(leaves[0] * weight, target * weight)
    plain = plain + 0.2 * dssim(leaves[0] * weight, target * weight)
    fused = photometric(leaves[1], target, weight if weighted else None, 0.2)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-6)
    for loss in (plain, fused):
        (3.0 * loss).backward()
    error = (leaves[1].grad - leaves[0].grad).norm() / leaves[0].grad.norm()
    assert error < 1e-3
