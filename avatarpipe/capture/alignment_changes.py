"""The mistakes that people make with captures, each as what undoes it: another camera, another place, another pose."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.alignment import Scene
from avatarpipe.capture.alignment_views import Figures
from avatarpipe.capture.normalization import rest_pelvis

FRAME_SHIFTS = tuple(sorted((k for k in range(-10, 11) if k), key=abs))
UNITS = (1e-3, 1e-2, 0.1, 10.0, 100.0, 1e3)
_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_MIRROR = {"x": np.diag([-1.0, 1, 1, 1]), "y": np.diag([1.0, -1, 1, 1]), "z": np.diag([1.0, 1, -1, 1])}
_TURNS = [(axis, angle) for axis in "xzy" for angle in (-90, 90, 180)]


@dataclass(frozen=True)
class Change:
    """One undone mistake: its cause by name, what seems to have happened, what to do, and the looks as they would be."""

    cause: str
    what: str
    advice: str
    scene: Scene


def camera_changes(scene: Scene) -> Iterator[Change]:
    """Cameras in other axes than OpenCV's, inverted, transposed, mirrored, or calibrated for another image size."""
    w2c, inverse = scene.w2c, np.linalg.inv(scene.w2c)
    rotation, translation = w2c[:, :3, :3], w2c[:, :3, 3]
    about = -np.einsum("nij,nj->ni", rotation, translation)
    convert = (
        "Convert the cameras to OpenCV world-to-camera matrices (x right, y down, z forward); in a transforms.json of "
        "nerfstudio to OpenGL camera-to-world ones."
    )
    for what, matrices in [
        ("cameras are in OpenGL axes (y up, looking along -z), taken for OpenCV's", _OPENGL @ w2c),
        ("camera-to-world matrices (c2w) were taken for world-to-camera (w2c)", inverse),
        ("OpenGL camera-to-world matrices (c2w) were taken for OpenCV w2c", _OPENGL @ inverse),
        ("the rotations of the cameras are transposed", _rigid(rotation.transpose(0, 2, 1), translation)),
        ("the centres of the cameras were taken for the translation of w2c", _rigid(rotation, about)),
        *_left_handed(w2c),
    ]:
        yield Change("camera axes", what, convert, replace(scene, w2c=matrices))
    yield from image_changes(scene)
    yield from _resized(scene)


def _left_handed(w2c: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Unity's and others' worlds: one axis of the world and one of the camera are mirrored, which leaves a rotation."""
    for world in "xzy":
        for camera in "xy":
            what = f"the cameras are mirrored: a left-handed world ({world} negated, camera {camera} negated)"
            yield what, _MIRROR[camera] @ w2c @ _MIRROR[world]


def image_changes(scene: Scene) -> Iterator[Change]:
    """Images that are mirrored against their cameras."""
    for axis, side in enumerate(("left for right", "top for bottom")):
        flip = np.stack([_flip(axis, look.image_size) for look in scene.looks])
        what = f"the images are mirrored against their cameras ({side}, left-handed)"
        advice = "Turn the images, or negate that axis of the cameras."
        yield Change("camera axes", what, advice, replace(scene, K=_on_images(scene, flip)))


def _flip(axis: int, size: tuple[int, int]) -> np.ndarray:
    matrix = np.eye(3)
    matrix[axis, axis], matrix[axis, 2] = -1.0, size[axis]
    return matrix


def _resized(scene: Scene) -> Iterator[Change]:
    for factor in (0.25, 0.5, 2.0, 4.0):
        scaled = np.tile(np.diag([factor, factor, 1.0]), (len(scene.looks), 1, 1))
        what = f"the intrinsics K are those of images {factor:g} times as small"
        advice = "Scale fx, fy, cx, cy with the images."
        yield Change("camera intrinsics", what, advice, replace(scene, K=_on_images(scene, scaled)))


def _on_images(scene: Scene, matrices: np.ndarray) -> np.ndarray:
    """(N, 3, 3) K of the windows after `matrices` (N, 3, 3) changed the pixels of the whole images."""
    crops = np.stack([look.crop for look in scene.looks])
    return crops @ matrices @ np.linalg.inv(crops) @ scene.K


def _rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    matrices = np.tile(np.eye(4), (len(rotation), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = rotation, translation
    return matrices


def moved(scene: Scene, scale=1.0, rotation=None, about=0.0, shift=0.0) -> Scene:
    """The scene in which each body point x is about + scale * rotation (x - about) + shift; `about`, `shift` (N, 3) or (3,).

    The bodies stay and the cameras move the other way, since a picture tells no scale.
    """
    rotation = np.eye(3) if rotation is None else rotation
    count = len(scene.looks)
    about, shift = (np.broadcast_to(np.asarray(x, float), (count, 3)) for x in (about, shift))
    offset = about + shift - scale * about @ rotation.T
    turned = scene.w2c[:, :3, :3] @ rotation
    placed = np.einsum("nij,nj->ni", scene.w2c[:, :3, :3], offset) + scene.w2c[:, :3, 3]
    return replace(scene, w2c=_rigid(turned, placed / scale))


def up_changes(scene: Scene) -> Iterator[Change]:
    """The world's axes: bodies and cameras in different ones, or only half of each body's motion turned."""
    transl, pelvis = translations(scene), pelvises(scene)
    for axis, angle in _TURNS:
        turn = Rotation.from_euler(axis, angle, degrees=True).as_matrix()
        cause = "world up axis" if axis != "y" else "world forward axis"
        how = f"turned by {angle:+d} degrees about {axis}"
        together = "Bring poses and cameras into one world, +Y up: turn root and transl about the pelvis, as motions need."
        yield Change(cause, f"bodies and cameras are in worlds {how} against each other", together,
                     moved(scene, rotation=turn))  # fmt: skip
        yield Change(cause, f"global_orient is not {how}, but transl and cameras are", together,
                     moved(scene, rotation=turn, about=pelvis))  # fmt: skip
        yield Change(cause, f"transl is not {how}, but global_orient and cameras are", together,
                     moved(scene, shift=transl @ turn.T - transl))  # fmt: skip


def scale_changes(scene: Scene, estimates: list[float]) -> Iterator[Change]:
    """Units and scales: of the whole world, of the body about its own origin, of transl alone."""
    transl, pelvis = translations(scene), pelvises(scene)
    for factor in (*UNITS, *estimates):
        unit = factor in UNITS
        said = f"{factor:.3g} times"
        yield Change("scale", f"the world of cameras and images is {said} that of the bodies{_unit(factor, unit)}",
                     "Bring cameras and body translation into metres; for nerfstudio and COLMAP the option `scale`, now s, "
                     f"is to be s / {factor:.3g}.", moved(scene, scale=factor))  # fmt: skip
        yield Change("scale", f"the subject is {said} as large as the body{_unit(factor, unit)}: a scale that belongs "
                     "to the fit was not applied", "Apply the scale of the fit (THuman: vertices times scale, then "
                     "plus translation) or divide scan and cameras by it.",
                     moved(scene, scale=factor, about=transl))  # fmt: skip
        if unit:
            yield Change("scale", f"transl must be {said} what it is{_unit(factor, unit)}",
                         "Give transl in metres.", moved(scene, shift=(factor - 1) * transl))  # fmt: skip
        else:
            yield Change("scale", f"the subject is {said} as large as the body", "Apply the scale of the fit, or give "
                         "the right betas.", moved(scene, scale=factor, about=pelvis))  # fmt: skip


def _unit(factor: float, unit: bool) -> str:
    names = {1e3: "millimetres against metres", 100.0: "centimetres against metres", 10.0: "decimetres against metres"}
    name = names.get(factor) or names.get(round(1 / factor, 6))
    return f" ({name})" if unit and name else ""


def place_changes(scene: Scene, offset: np.ndarray) -> Iterator[Change]:
    """transl that counts from elsewhere, is missing, or is off by `offset` (3,) metres."""
    rest, transl = rest_pelvises(scene), translations(scene)
    advice = "transl moves the body's origin, not its pelvis: transl = pelvis - J0(betas) for the body file in use."
    for what, shift in [
        ("transl holds the place of the pelvis", -rest),
        ("the rest pelvis was taken off transl twice", rest),
        ("transl must not be applied: the bodies are already in place", -transl),
    ]:
        yield Change("transl offset", what, advice, moved(scene, shift=shift))
    size = np.linalg.norm(offset)
    if np.isfinite(size) and size > 1e-3:
        what = f"the bodies must move by ({', '.join(f'{x:+.3f}' for x in offset)}) m, {size:.3f} m in all"
        advice = f"{advice} SMPL's transl used with SMPL-X is off by the difference of their rest pelvises."
        yield Change("transl offset", what, advice, moved(scene, shift=offset))


def frame_changes(scene: Scene, shifts=FRAME_SHIFTS) -> Iterator[Change]:
    """Poses of other frames: that of frame f + k for the image of frame f; looks without one count for nothing."""
    poses = scene.figures.poses
    for k in shifts:
        if abs(k) < len(poses):
            index = np.clip(np.arange(len(poses)) + k, 0, len(poses) - 1)
            figures = Figures(scene.figures.body, poses[index.tolist()])
            what = f"the poses are shifted against the images: frame f shows the body of frame f{k:+d}"
            advice = "Poses count by the dataset's own frame numbers; missing images must not shift them."
            yield Change("frame offset", what, advice, replace(scene, figures=figures, shift=k))


def speeds(poses: BodyParams) -> np.ndarray:
    """(F,) how far each body is from the one before: radians of all joints and metres, added."""
    moving = torch.cat([poses.global_orient, poses.body_pose, poses.transl], dim=1).double().numpy()
    return np.abs(np.diff(moving, axis=0, prepend=moving[:1])).sum(axis=1)


def body_changes(scene: Scene, others: dict[str, Body]) -> Iterator[Change]:
    """Body models of other genders, by name."""
    for gender, body in others.items():
        what = f"the fit belongs to the {gender} body model"
        advice = "Correct `gender` in the subject table."
        yield Change("gender", what, advice, replace(scene, figures=Figures(body, scene.figures.poses)))


def hand_changes(scene: Scene) -> Iterator[Change]:
    """Hands from which the hand mean is taken, and to which it is added."""
    body, poses = scene.figures.body, scene.figures.poses
    for sign, what, advice in [
        (-1, "the hand mean was added twice", "These hands already contain the mean (flat_hand_mean=True)."),
        (1, "the hand mean is missing", "Add hands_meanl and hands_meanr (flat_hand_mean=False in the source)."),
    ]:
        figures = Figures(body, with_hand_mean(body, poses, sign))
        yield Change("hand mean", what, advice, replace(scene, figures=figures))


def with_hand_mean(body: Body, poses: BodyParams, times: float) -> BodyParams:
    """The poses with the hand mean added `times` times."""
    hands = {}
    for side in ("left", "right"):
        mean = torch.as_tensor(body.hand_pca(side)[1], dtype=torch.float32)
        hands[f"{side}_hand_pose"] = getattr(poses, f"{side}_hand_pose") + times * mean
    return poses.replaced(**hands)


def translations(scene: Scene) -> np.ndarray:
    """(N, 3) transl of the body of each look."""
    return scene.figures.poses.transl.double().numpy()[[look.frame for look in scene.looks]]


def rest_pelvises(scene: Scene) -> np.ndarray:
    """(N, 3) J0 of the body of each look."""
    frames = [look.frame for look in scene.looks]
    return rest_pelvis(scene.figures.body, scene.figures.poses[frames])


def pelvises(scene: Scene) -> np.ndarray:
    """(N, 3) where each look's body has its pelvis."""
    return np.stack([scene.figures.joints(look.frame)[0] for look in scene.looks])
