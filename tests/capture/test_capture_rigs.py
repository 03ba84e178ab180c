import numpy as np
import pytest

from avatarpipe.capture.rigs import rig
from avatarpipe.errors import InputError


def angles(cameras):
    """(elevation, azimuth) in degrees of each camera centre."""
    x, y, z = (cameras.centres / np.linalg.norm(cameras.centres, axis=1, keepdims=True)).T
    return np.degrees(np.stack([np.arcsin(y), np.arctan2(x, z) % (2 * np.pi)], axis=1)).round(6)


@pytest.mark.parametrize(
    "split, first, last", [("train", (30, 0), (-30, 340)), ("test", (35, 350), (-25, 330))]
)
def test_the_rigs_are_those_of_the_paper(split, first, last):
    cameras = rig(split, 72, 1024, 2.0, 60.0)
    assert len(cameras) == 72
    assert tuple(angles(cameras)[0]) == first and tuple(angles(cameras)[-1]) == last
    assert np.isclose(cameras.K[0, 0, 0], 886.81, atol=5e-3)
    assert np.allclose(np.linalg.norm(cameras.centres, axis=1), 2)


def test_train_and_test_share_no_view():
    train, test = (rig(split, 72, 64, 2.0, 60.0).centres for split in ("train", "test"))
    assert np.linalg.norm(train[:, None] - test[None], axis=2).min() > 0.15


@pytest.mark.parametrize("views", [1, 4, 7, 24, 36, 71])
def test_a_thinned_rig_is_even_and_keeps_its_names(views):
    full, thin = (rig("train", count, 64, 2.0, 60.0) for count in (72, views))
    assert len(thin) == views == len(set(thin.names)) and set(thin.names) <= set(full.names)
    rings = np.unique(angles(thin)[:, 0], return_counts=True)[1]
    assert rings.max() - rings.min() <= 1


def test_24_views_see_the_subject_from_all_sides():
    azimuths = np.sort(angles(rig("test", 24, 64, 2.0, 60.0))[:, 1])
    assert np.diff(azimuths, append=azimuths[0] + 360).max() <= 40


def test_too_many_views():
    with pytest.raises(InputError, match="73 views: the rig has 72"):
        rig("test", 73, 64, 2.0, 60.0)
