"""The drawn skeleton: OpenPose's colours on the right sides, at the right places, without what the body hides."""

import cv2
import numpy as np
import pytest
import torch
import trimesh

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.guidance.poses import CANONICAL, guidance_poses
from avatarpipe.guidance.skeleton import (
    COLORS,
    LIMBS,
    POINTS,
    Figure,
    _drawn,
    draw_skeletons,
    figure,
    first_hits,
    visible_points,
)

SIZE = 256
LEFT = [i for i, name in enumerate(POINTS) if name.startswith("left")]
RIGHT = [i for i, name in enumerate(POINTS) if name.startswith("right")]


@pytest.fixture(scope="module")
def person(fake_body) -> Figure:
    """The fake body, its face points placed on its head: its vertices have no order."""
    shown = figure(fake_body, guidance_poses(BodyParams.zeros())[CANONICAL])
    surface = shown.corners.numpy()
    head = surface[(surface[:, 1] > 0.6) & (np.abs(surface[:, 0]) < 0.15)]
    middle = head.mean(axis=0)
    places = {"nose": (0, 1), "right eye": (-0.5, 0.9), "left eye": (0.5, 0.9), "right ear": (-1, 0), "left ear": (1, 0)}
    for name, (x, z) in places.items():
        reach = (head - middle)[:, [0, 2]] @ np.array([x, z])
        shown.points[POINTS.index(name)] = torch.from_numpy(head[reach.argmax()])
    return shown


def cameras_at(*azimuths, elevation=0.0, distance=2.2):
    return orbit([elevation], azimuths, distance, 55.0, SIZE, SIZE)


def hidden(person, azimuth) -> set[str]:
    seen = visible_points(person, cameras_at(azimuth).tensors()[0])[0]
    return {name for name, shown in zip(POINTS, seen, strict=True) if not shown}


def test_first_hits_are_those_of_a_ray_tracer(person):
    triangles = torch.stack([person.corners, person.corners + person.edges_1, person.corners + person.edges_2], 1)
    faces = np.arange(3 * len(triangles)).reshape(-1, 3)
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3).numpy(), faces, process=False)
    eyes = torch.tensor([[0.3, 0.2, 2.0], [-1.5, 0.5, -1.0]])
    targets = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.4, 0.5, 0.05])
    directions = torch.nn.functional.normalize(targets - eyes[:, None], dim=-1)
    found = first_hits(eyes, directions, person)
    for k, eye in enumerate(eyes.numpy()):
        hits, rays, _ = mesh.ray.intersects_location(np.tile(eye, (60, 1)), directions[k].numpy(), multiple_hits=False)
        expected = np.full(60, np.inf)
        expected[rays] = np.linalg.norm(hits - eye, axis=1)
        assert 10 < np.isfinite(expected).sum() < 60
        assert np.mean(np.isfinite(expected) == np.isfinite(found[k].numpy())) > 0.98  # a ray may graze an edge
        both = np.isfinite(expected) & np.isfinite(found[k].numpy())
        assert np.abs(expected[both] - found[k].numpy()[both]).max() < 1e-4


def test_nothing_is_hidden_in_front_but_the_face_is_from_behind(person):
    assert hidden(person, 0) == set()
    assert hidden(person, 180) == {"nose", "left eye", "right eye"}


def test_from_one_side_the_other_is_hidden_and_the_neck_is_not(person):
    from_left, from_right = hidden(person, 90), hidden(person, 270)
    assert {"right shoulder", "right elbow", "right ear", "right eye"} <= from_left
    assert {"left shoulder", "left elbow", "left ear", "left eye"} <= from_right
    assert "neck" not in from_left | from_right
    assert "left hip" not in from_left and "right hip" not in from_right


def color_at(picture, pixel) -> np.ndarray:
    x, y = (int(v) for v in pixel)
    return (picture[y, x].numpy() * 255).round()


@pytest.mark.parametrize("azimuth", [0, 180])
def test_limbs_have_the_colours_of_their_side_where_the_joints_are(person, azimuth):
    cameras = cameras_at(azimuth)
    (picture,) = draw_skeletons(person, *cameras.tensors(), SIZE)
    local = person.points.numpy() @ cameras.w2c[0, :3, :3].T + cameras.w2c[0, :3, 3]
    pixels = (local @ cameras.K[0].T)[:, :2] / local[:, 2:]
    for side, columns in (("left", LEFT), ("right", RIGHT)):
        elbow, wrist = (POINTS.index(f"{side} {joint}") for joint in ("elbow", "wrist"))
        limb = LIMBS.index((elbow, wrist))
        middle = 0.5 * (pixels[elbow] + pixels[wrist])
        assert np.abs(color_at(picture, middle) - 0.6 * np.array(COLORS[limb])).max() <= 1
        on_the_right = pixels[columns, 0].mean() > SIZE / 2
        assert on_the_right == ((side == "left") == (azimuth == 0))


def test_colours_are_the_hue_ramp_and_right_comes_first():
    hues = [cv2.cvtColor(np.uint8([[c]]), cv2.COLOR_RGB2HSV)[0, 0, 0] for c in COLORS]
    assert hues == sorted(hues) and len(set(hues)) == 18
    assert POINTS[2:5] == ("right shoulder", "right elbow", "right wrist")
    assert LIMBS[:2] == ((1, 2), (1, 5))


def opencv_picture(places: np.ndarray, seen: np.ndarray, size: int) -> np.ndarray:
    """The same skeleton by OpenCV's primitives: dots first, then each limb blended over, hard edges."""
    canvas, radius = np.zeros((size, size, 3), np.uint8), max(round(4 * size / 512), 1)
    for i in np.flatnonzero(seen):
        cv2.circle(canvas, tuple(int(v) for v in places[i]), radius, COLORS[i], -1)
    for i, (a, b) in enumerate(LIMBS):
        if seen[a] and seen[b]:
            middle, d = 0.5 * (places[a] + places[b]), places[b] - places[a]
            axes = (int(np.linalg.norm(d) / 2), radius)
            ring = cv2.ellipse2Poly(
                tuple(int(v) for v in middle), axes, int(np.degrees(np.arctan2(d[1], d[0]))), 0, 360, 1
            )
            with_limb = cv2.fillConvexPoly(canvas.copy(), ring, COLORS[i])
            canvas = cv2.addWeighted(canvas, 0.4, with_limb, 0.6, 0)
    return canvas


def test_pictures_are_those_that_opencv_draws(person):
    cameras = cameras_at(30, elevation=10)
    local = person.points.numpy() @ cameras.w2c[0, :3, :3].T + cameras.w2c[0, :3, 3]
    places = (local @ cameras.K[0].T)[:, :2] / local[:, 2:] * 2
    seen = np.ones(18, bool)
    seen[[4, 16]] = False
    ours = _drawn(torch.from_numpy(places).float()[None], torch.from_numpy(seen)[None], 512)[0].numpy()
    theirs = opencv_picture(places, seen, 512) / 255.0
    drawn = theirs.max(axis=2) > 0
    assert np.abs(ours - theirs)[drawn].mean() < 0.1  # they round to whole pixels and degrees
    assert (ours.max(axis=2) > 0.3)[drawn].mean() > 0.85
    shifted = np.roll(theirs, 12, axis=1)
    assert np.abs(ours - theirs).mean() < 0.25 * np.abs(ours - shifted).mean()


def test_a_hidden_point_has_no_dot_and_no_limb(person):
    places = torch.rand(1, 18, 2, generator=torch.Generator().manual_seed(0)) * 64
    nothing = torch.zeros(1, 18, dtype=torch.bool)
    assert _drawn(places, nothing, 64).max() == 0
    only = nothing.clone()
    only[0, 3] = True
    (picture,) = _drawn(places, only, 64)
    ys, xs = torch.nonzero(picture.amax(dim=-1) > 0.5, as_tuple=True)
    assert len(xs) and (torch.stack([xs, ys], 1) + 0.5 - places[0, 3]).norm(dim=1).max() < 2.0
    assert torch.allclose(picture.amax(dim=(0, 1)), torch.tensor(COLORS[3]) / 255.0, atol=1e-3)


def test_points_behind_the_camera_and_far_outside_do_no_harm(person):
    close = orbit([0.0], [0.0, 60.0, 180.0], 0.3, 70.0, 64, 64, target=(0.3, 0.4, 0.0))
    pictures = draw_skeletons(person, *close.tensors(), 64)
    assert torch.isfinite(pictures).all() and pictures.min() >= 0 and pictures.max() <= 1
