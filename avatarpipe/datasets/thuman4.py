"""THuman4.0 (Zheng et al., 2022): 24 cameras, 30 frames a second, 1330 x 1150.

Layout of a source: images/cam{nn}/{frame:08d}.jpg, masks/cam{nn}/{frame:08d}.jpg, calibration.json, smpl_params.npz and
perhaps missing_img_files.txt and missing_msk_files.txt. Options: those of `assembly`.
"""

from avatarpipe.datasets.assembly import Files, assemble, chosen_rig
from avatarpipe.datasets.calibration import read_calibration
from avatarpipe.datasets.listing import folders_in, listed_as_missing, numbered_files
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.smpl_params import NAME

CALIBRATION = "calibration.json"
MISSING = ("missing_img_files.txt", "missing_msk_files.txt")
FPS = 30.0
BOUNDARY_RADIUS = 3


def read(request: Request) -> MultiViewSource:
    """What the recording holds; InputError on a broken calibration, poses that do not fit, cameras without images."""
    folder = request.folder("A recording of THuman4.0 is a folder such as subject00.")
    path = folder / CALIBRATION
    rig = chosen_rig(request, read_calibration(path), path, folders_in(folder / "images"))
    names = rig.calibration.names
    files = Files(
        images=[numbered_files(folder / "images" / name) for name in names],
        masks=[numbered_files(folder / "masks" / name) for name in names],
        listed={file: listed_as_missing(folder / file, names) for file in MISSING},
    )
    return assemble(request, rig, files, folder / NAME, FPS, BOUNDARY_RADIUS)
