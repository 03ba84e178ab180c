"""A recording of one camera in the layout of PeopleSnapshot; the video is lossless."""

import pickle
from pathlib import Path

import cv2
import h5py
import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.smpl import SMPL_REST_PELVIS
from avatarpipe.capture.normalization import moved_poses, rest_pelvis
from avatarpipe.datasets.people_snapshot import CAMERA, CONSENSUS, MASKS, POSES
from avatarpipe.datasets.writers.pictures import Lens
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import atomic_file

_SMPL_VERTICES = 6890


def write(folder: Path, recording: RawRecording, body: Body) -> None:
    """Camera, poses, masks and video below `folder`, in the frame of the recording's first camera.

    SMPL has neither fingers nor face: what the poses say of them is lost, and so is their shape. Raises ValueError where
    frames are not 0, 1, 2 and on, since the layout numbers them so, or a picture is missing.
    """
    if recording.frames != tuple(range(len(recording.frames))):
        raise ValueError(f"frames {recording.frames}: PeopleSnapshot counts frames from 0")
    folder.mkdir(parents=True, exist_ok=True)
    _write_pickle(folder / CAMERA, _camera(recording))
    nothing = {"v_personal": np.zeros((_SMPL_VERTICES, 3)), "betas": np.zeros(10)}
    _write_pickle(folder / CONSENSUS, nothing)
    _write_hdf5(folder / POSES, _smpl(recording, body))
    frames = range(len(recording.frames))
    lens = _lens(recording)
    masks = np.stack([lens(recording.mask(f, 0)) > 127 for f in frames]).astype(np.uint8)
    _write_hdf5(folder / MASKS, {"masks": masks})
    _write_video(folder / f"{folder.name}.mp4", recording, lens)


def _lens(recording: RawRecording) -> Lens:
    cameras = recording.cameras
    return Lens(cameras.K[0], recording.distortion[0], cameras.width, cameras.height)


def _camera(recording: RawRecording) -> dict:
    cameras = recording.cameras
    K = cameras.K[0]
    return {
        "camera_f": K[[0, 1], [0, 1]], "camera_c": K[:2, 2] - 0.5, "camera_k": recording.distortion[0],
        "camera_rt": np.zeros(3), "camera_t": np.zeros(3),
        "width": cameras.width, "height": cameras.height,
    }  # fmt: skip


def _smpl(recording: RawRecording, body: Body) -> dict[str, np.ndarray]:
    """The bodies as SMPL would have them, in the camera's frame, the pelvis where it is."""
    poses: BodyParams = moved_poses(body, recording.poses, recording.cameras.w2c[0])
    pose = np.hstack([poses.global_orient, poses.body_pose, np.zeros((len(poses), 6))])
    trans = poses.transl.double().numpy() + rest_pelvis(body, poses) - SMPL_REST_PELVIS
    return {"pose": pose, "trans": trans, "betas": np.zeros(10)}


def _write_pickle(path: Path, content: dict) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(content, stream, protocol=2)


def _write_hdf5(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_file(path) as temporary, h5py.File(temporary, "w") as file:
        for name, array in arrays.items():
            chunks = (1, *array.shape[1:]) if array.ndim == 3 else None
            file.create_dataset(
                name, data=array, chunks=chunks, compression="gzip" if chunks else None
            )


def _write_video(path: Path, recording: RawRecording, lens: Lens) -> None:
    size = recording.cameras.width, recording.cameras.height
    with atomic_file(path) as temporary:
        codec = cv2.VideoWriter_fourcc(*"FFV1")
        writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, codec, recording.fps, size)
        for f in range(len(recording.frames)):
            picture = recording.image(f, 0)
            if picture is None:
                raise ValueError(f"frame {f} has no picture: a video cannot leave one out")
            writer.write(np.ascontiguousarray(lens(picture)[..., ::-1]))
        writer.release()
