"""The recorded graph draws what posing and rendering draw."""

import numpy as np
import pytest
import torch
from animatable_parts import TINY, random_pose, roughened, tiny_model, tiny_rig

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import look_at
from avatarpipe.gaussians.render import render
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.realtime import Performer
from avatarpipe.methods.animatable.rig import BODY
from avatarpipe.methods.animatable.settings import ProjectionSettings

SIZE = 96
K = np.array([[120.0, 0, SIZE / 2], [0, 120.0, SIZE / 2], [0, 0, 1]])


def avatar_of(fake_body, **switches) -> AnimatableAvatar:
    model = roughened(tiny_model(fake_body))
    poses = np.concatenate([random_pose(k).full_pose[:, BODY].numpy() for k in range(4)])
    projection = PoseProjection.fit(poses, ProjectionSettings())
    rig, captured = tiny_rig(fake_body), BodyParams.zeros()
    return AnimatableAvatar("zoe", captured, model, rig, projection, TINY, **switches)


def test_needs_cuda(fake_body):
    with pytest.raises(ValueError, match="needs CUDA"):
        Performer(avatar_of(fake_body), SIZE, SIZE)


@pytest.mark.cuda
@pytest.mark.parametrize("harmonics", [False, True])
def test_draws_what_posing_and_rendering_draw(fake_body, tmp_path, harmonics):
    avatar_of(fake_body, harmonics=harmonics).save(tmp_path / "avatar")
    avatar = AnimatableAvatar.load(tmp_path / "avatar", "cuda")
    performer = Performer(avatar, SIZE, SIZE, precision=torch.float32)
    white = torch.ones(3, device="cuda")
    for seed in range(3):
        pose, w2c = random_pose(seed), look_at(np.array([seed - 1.0, 1.0, 2.5]), np.array([0.0, 1.0, 0.0]))
        camera = torch.tensor(w2c)[None].cuda(), torch.tensor(K)[None].cuda(), SIZE, SIZE
        with torch.no_grad():
            expected = render(avatar.pose(pose), camera, white, near=0.1).rgb[0].clamp(0.0, 1.0)
        drawn = performer.draw(pose, w2c, K).float() / 255.0
        assert (expected < 0.9).any() and (drawn - expected).abs().max() < 0.01
