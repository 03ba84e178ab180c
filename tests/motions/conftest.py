"""A motion with a moving camera."""

from dataclasses import replace

import numpy as np
import pytest
from motions_writers import sample_motion
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import intrinsics, look_at


@pytest.fixture
def motion(fake_body):
    return sample_motion(fake_body)


@pytest.fixture
def filmed(motion):
    """`motion` with a camera that walks round it."""
    turns = Rotation.from_euler("y", np.linspace(0, 1.0, len(motion))[:, None])
    w2c = np.stack([look_at(turn.apply([0.0, 1.5, 3.0]), [0.0, 1.0, 0.0]) for turn in turns])
    K = np.repeat(intrinsics(40.0, 640, 360)[None], len(motion), axis=0)
    return replace(motion, K=K, w2c=w2c)
