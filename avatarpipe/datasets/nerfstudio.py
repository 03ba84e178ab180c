"""One's own capture as nerfstudio keeps it: transforms.json, the images and masks it names, and smpl_params.npz.

Frames are told apart by `time`, cameras by `camera` or by standing in one place with one lens; or both by the option names.
Row n of smpl_params.npz is the n-th time, or frame number n of the names. Options: those of `own_captures`.
"""

from avatarpipe.datasets.formats.transforms import read_transforms
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.own_captures import Folder, read_posed

CALIBRATION = "transforms.json"


def read(request: Request) -> MultiViewSource:
    """What the folder holds; InputError on all that `read_transforms` and `read_posed` refuse."""
    folder = request.folder("A capture is a folder with transforms.json.")
    path = folder / CALIBRATION
    return read_posed(request, Folder(folder, path), read_transforms(path))
