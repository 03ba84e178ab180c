"""A capture in the layouts that other programs train from: nerfstudio, COLMAP, and smpl_params.npz.

All stand in the capture's own world: metres, +Y up. Cameras are pinholes; what lenses bent was straightened on the way in.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.datasets.formats.colmap import write_colmap
from avatarpipe.datasets.formats.colmap_model import ColmapPoints
from avatarpipe.datasets.formats.posed_image import Shot
from avatarpipe.datasets.formats.transforms import write_transforms
from avatarpipe.datasets.smpl_params import NAME, write_smpl_params
from avatarpipe.errors import InputError
from avatarpipe.export.pictures import Destination, Picture, frames_in
from avatarpipe.mesh.mesh import Mesh, save_mesh

POINTS = "points3d.ply"
_GREY = 0.5  # of the points to start from: colours are for training to find
_SAME_SHAPE = 1e-4


def write_nerfstudio(capture: Capture, pictures: Sequence[Picture], to: Destination, body: Body | None) -> None:
    """images/ and masks/{frame}/{camera}.*, smpl_params.npz with a row a frame, and transforms.json.

    Each entry has `time` in seconds, the frame's name, and `frame_index`, its row in smpl_params.npz. Held-out cameras
    are nerfstudio's val and test. body: where given, its surface at the first frame is what to start from, points3d.ply.
    """
    frames = frames_in(pictures)
    times, rows = _times(capture, frames), {frame: row for row, frame in enumerate(frames)}
    shots, notes = [], []
    for picture in pictures:
        place = f"{picture.frame}/{picture.camera}"
        image, mask = _put_both(picture, to, f"images/{place}{picture.image.suffix}", f"masks/{place}.png")
        shots.append(Shot(_index(capture, picture.camera), image, mask, times[picture.frame]))
        notes.append({"frame": picture.frame, "frame_index": rows[picture.frame]})
    extra = _splits(capture, pictures, [shot.name for shot in shots])
    if body is not None:
        save_mesh(_surface(capture, frames[0], body), to.draft / POINTS)
        extra["ply_file_path"] = POINTS
    write_bodies(capture, frames, to.draft)
    write_transforms(to.draft / "transforms.json", capture.cameras(), shots, notes=notes, **extra)


def write_colmap_frame(
    capture: Capture, pictures: Sequence[Picture], to: Destination, body: Body | None, binary: bool
) -> None:
    """One frame: images/{camera}.*, masks/{camera}.*.png as COLMAP calls them, sparse/0, smpl_params.npz of one row.

    sparse/0/test.txt lists the images of held-out cameras, where there are any, as the 3DGS release reads it. body: where
    given, its surface at the frame is the model's points; else there are none.
    """
    (frame,) = frames_in(pictures)
    model = to.draft / "sparse" / "0"
    cameras = capture.cameras()[[_index(capture, picture.camera) for picture in pictures]]
    shots = []
    for camera, picture in enumerate(pictures):
        name = f"{picture.camera}{picture.image.suffix}"
        _put_both(picture, to, f"images/{name}", f"masks/{name}.png")
        shots.append(Shot(camera, name))
    points = None if body is None else _points(_surface(capture, frame, body))
    write_bodies(capture, [frame], to.draft)
    write_colmap(model, cameras, shots, binary, points=points)
    held_out = set(capture.cameras("test").names)
    names = [s.name for s, p in zip(shots, pictures, strict=True) if p.camera in held_out]
    if names:
        (model / "test.txt").write_text("".join(f"{name}\n" for name in names))


def write_bodies(capture: Capture, frames: Sequence[str], folder: Path) -> None:
    """smpl_params.npz in `folder`, a row a frame; InputError where the body's shape changes, which the layout cannot say."""
    poses = _poses(capture, frames)
    if (poses.betas - poses.betas[:1]).abs().max() > _SAME_SHAPE:
        raise InputError(
            f"{capture.path}: betas differ between frames, and {NAME} holds one shape. Export a frame at a time."
        )
    write_smpl_params(folder / NAME, poses)


def _poses(capture: Capture, frames: Sequence[str]) -> BodyParams:
    rows = {name: row for row, name in enumerate(capture.frame_names)}
    return capture.poses[[rows[frame] for frame in frames]]


def _put_both(picture: Picture, to: Destination, image: str, mask: str) -> tuple[str, str | None]:
    """The names of image and mask, once they are in place."""
    to.put(picture.image, image)
    if picture.mask is None:
        return image, None
    to.put(picture.mask, mask)
    return image, mask


def _times(capture: Capture, frames: Sequence[str]) -> dict[str, float]:
    """Seconds by frame; InputError where they do not grow, since readers tell frames apart by them."""
    table = capture.frames.set_index("frame")["time"]
    times = {frame: float(table[frame]) for frame in frames}
    if np.any(np.diff(list(times.values())) <= 0):
        raise InputError(f"{capture.path}: the times of its frames do not grow; transforms.json tells frames by time.")
    return times


def _splits(capture: Capture, pictures: Sequence[Picture], names: Sequence[str]) -> dict[str, list[str]]:
    """nerfstudio's lists of files, {} where no camera is held out: it then takes every tenth or so itself."""
    test = set(capture.cameras("test").names)
    named = list(zip(names, pictures, strict=True))
    held_out = [name for name, picture in named if picture.camera in test]
    kept = [name for name, picture in named if picture.camera not in test]
    if not held_out:
        return {}
    return {"train_filenames": kept, "val_filenames": held_out, "test_filenames": held_out}


def _index(capture: Capture, camera: str) -> int:
    return capture.cameras().names.index(camera)


def _surface(capture: Capture, frame: str, body: Body) -> Mesh:
    """The body of the frame, grey."""
    vertices = body.vertices(_poses(capture, [frame]))[0].double().numpy()
    return Mesh(vertices, body.faces, vertex_colors=np.full(vertices.shape, _GREY, np.float32))


def _points(surface: Mesh) -> ColmapPoints:
    return ColmapPoints(surface.vertices, np.round(surface.vertex_colors * 255).astype(np.uint8))
