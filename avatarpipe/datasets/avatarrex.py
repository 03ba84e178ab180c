"""AvatarReX (Zheng et al., 2023): 16 cameras, 30 frames a second, 1500 x 2048, lens distortion, matted masks.

Layout of a source: {camera}/{frame:08d}.jpg, {camera}/mask/pha/{frame:08d}.jpg, calibration_full.json, smpl_params.npz and
perhaps missing_img_files.txt. Options: those of `assembly`.
"""

from avatarpipe.datasets.assembly import Files, assemble, chosen_rig
from avatarpipe.datasets.calibration import read_calibration
from avatarpipe.datasets.listing import folders_in, listed_as_missing, numbered_files
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.smpl_params import NAME

CALIBRATION = "calibration_full.json"
MISSING = ("missing_img_files.txt",)
FPS = 30.0
BOUNDARY_RADIUS = 5


def read(request: Request) -> MultiViewSource:
    """What the recording holds; InputError on a broken calibration, poses that do not fit, cameras without images."""
    folder = request.folder("A recording of AvatarReX is a folder such as avatarrex_zzr.")
    path = folder / CALIBRATION
    with_masks = [name for name in folders_in(folder) if (folder / name / "mask").is_dir()]
    rig = chosen_rig(request, read_calibration(path), path, with_masks)
    names = rig.calibration.names
    files = Files(
        images=[numbered_files(folder / name) for name in names],
        masks=[numbered_files(folder / name / "mask" / "pha") for name in names],
        listed={file: listed_as_missing(folder / file, names) for file in MISSING},
    )
    return assemble(request, rig, files, folder / NAME, FPS, BOUNDARY_RADIUS)
