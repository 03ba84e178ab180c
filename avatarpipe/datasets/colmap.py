"""One's own capture as COLMAP keeps it: sparse/0 in text or binary, images/, masks/, and smpl_params.npz.

COLMAP knows no time: with the option names (such as "{camera}/{frame}.png") images are told apart, and those of a
calibrated camera count at every frame that lies on disk; without it all images are of frame 0. COLMAP's world has no scale
and no up: give the options scale and up, or transform. Options: those of `own_captures`, and images (their folder).
"""

from avatarpipe.datasets.choices import of_source
from avatarpipe.datasets.formats.colmap import model_files, model_folder, read_colmap
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.own_captures import Folder, read_posed


def read(request: Request) -> MultiViewSource:
    """What the folder holds; InputError on all that `read_colmap` and `read_posed` refuse."""
    path = request.folder("A capture is a folder with sparse/0 and images.")
    model = model_folder(path)
    files = model_files(model)
    images = of_source(request.options, "images", request.source, "images")
    folder = Folder(path, files["images"], images)
    source = read_posed(request, folder, read_colmap(model))
    source.inputs |= {"calibration": files["images"], "lenses": files["cameras"]}
    return source
