"""Which raw files a subject is made from: those whose change must make its conversion run again.

Light enough to be asked while the workflow is planned. Scans are listed whole; of image datasets calibration and poses, and
not the images. Files that lie elsewhere and have a say in what is read, as the SMPL model of a fit, are among them.
"""

from collections.abc import Mapping
from pathlib import Path

from avatarpipe.capture.frames import frame_numbers
from avatarpipe.datasets.choices import settled, smpl_file
from avatarpipe.errors import InputError
from avatarpipe.files import require_file

_MODEL = "sparse/0/{0}.bin|sparse/0/{0}.txt|sparse/{0}.bin|sparse/{0}.txt|{0}.bin|{0}.txt"
# Below the source; "|" separates alternatives, the first that exists counts; "?" marks what may be absent.
CALIBRATION_AND_POSES = {
    "avatarrex": ("calibration_full.json", "smpl_params.npz", "missing_*.txt?"),
    "thuman4.0": ("calibration.json", "smpl_params.npz", "missing_*.txt?"),
    "actorshq": ("calibration.csv|*/calibration.csv", "smpl_params.npz|*/smpl_params.npz"),
    "people-snapshot": ("camera.pkl", "masks.hdf5", "reconstructed_poses.hdf5", "*.mp4"),
    "sigman": ("camera_full_calibration.json", "smplx.npz"),
    "nerfstudio": ("transforms.json", "smpl_params.npz"),
    "colmap": (_MODEL.format("cameras"), _MODEL.format("images"), "smpl_params.npz"),
}
_SNAPSHOT_SHAPE = "consensus.pkl?"  # asked for the betas of SMPL, where its model is given
_HINT = "It is where the subject table and `datasets` in config.yaml say; resources/README.md says where files go."


def raw_inputs(
    dataset: str, source: str, gender: str, frames: str, options: Mapping, with_labels: bool
) -> list[Path]:
    """The files of one row of the subject table.

    options: the dataset's section of the config, with its `root`. with_labels: whether label files must be there; those that
    are there are read in any case.
    Raises InputError that names the first folder, file or frame that is missing.
    """
    root = Path(options["root"])
    if dataset == "4d-dress":
        return _four_d_dress(root / source, frames, with_labels)
    if dataset.startswith("thuman2."):
        return _thuman2(root, source, options)
    if dataset == "four-view":
        return _four_view(root, source, options)
    found = [
        path for pattern in CALIBRATION_AND_POSES[dataset] for path in _matches(root / source, pattern)
    ]
    if dataset == "people-snapshot":
        found += _shape_of_snapshot(root / source, smpl_file(settled(options, source), gender))
    return found


def _four_d_dress(folder: Path, frames: str, with_labels: bool) -> list[Path]:
    kinds = ("Meshes_pkl/mesh-f{:05d}.pkl", "Meshes_pkl/atlas-f{:05d}.pkl", "SMPLX/mesh-f{:05d}_smplx.pkl")
    info = require_file(folder / "basic_info.pkl", _HINT)
    chosen = [int(frames)] if frames.isdigit() else frame_numbers(frames, _fitted(folder))
    scans = [folder / kind.format(number) for number in chosen for kind in kinds]
    labels = [folder / f"Semantic/labels/label-f{number:05d}.pkl" for number in chosen]
    if not with_labels:
        labels = [path for path in labels if path.is_file()]
    return [info, *(require_file(path, _HINT) for path in (*scans, *labels))]


def _fitted(folder: Path) -> list[int]:
    """Numbers of the frames of a 4D-Dress sequence that have a body fit."""
    names = (path.name for path in (folder / "SMPLX").glob("mesh-f*_smplx.pkl"))
    return sorted(int(name[6:11]) for name in names if name[6:11].isdigit())


def _shape_of_snapshot(folder: Path, smpl: Path | None) -> list[Path]:
    """Whose joints a shape of SMPL-X is found from: nobody's where no SMPL model is named."""
    if smpl is None:
        return []
    hint = "`datasets.people-snapshot.smpl` in config.yaml names it; docs/licensed.md says how to get it."
    return [require_file(smpl, hint), *_matches(folder, _SNAPSHOT_SHAPE)]


def _thuman2(root: Path, source: str, options: Mapping) -> list[Path]:
    scan, fit = root / options["scans"] / source, root / options["fits"] / source
    found = [require_file(scan / f"{source}.obj", _HINT), require_file(fit / "smplx_param.pkl", _HINT)]
    return found + sorted(path for path in scan.iterdir() if path.name.startswith("material"))


def _four_view(root: Path, source: str, options: Mapping) -> list[Path]:
    """Calibrations are everybody's; the fit lies beside the images, or with the other fits."""
    exported = root / options["images"] / source / "smplx_param.pkl"
    fit = exported if exported.is_file() else root / options["fits"] / source / "smplx_param.pkl"
    calibrations = _matches(root / options["calibrations"], "thuman_*.json")
    return [require_file(fit, _HINT), *calibrations]


def _matches(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. {_HINT}")
    wanted = pattern.rstrip("?").split("|")
    for alternative in wanted:
        if found := sorted(folder.glob(alternative)):
            return found
    if pattern.endswith("?"):
        return []
    raise InputError(f"{folder / wanted[0]}: no such file. {_HINT}")
