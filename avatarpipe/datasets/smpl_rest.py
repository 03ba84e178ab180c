"""The joints of a SMPL body in T-pose, from the SMPL file as its authors give it: npz, or a pickle of Python 2.

Such pickles hold arrays inside chumpy objects and scipy matrices. Neither library is called: their states are plain dicts,
and nothing but those is built.
"""

from pathlib import Path

import numpy as np
from scipy.sparse import csc_matrix

from avatarpipe.datasets.plain_npz import read_arrays
from avatarpipe.errors import InputError
from avatarpipe.pickles import load_pickle

_JOINTS = 24


class _Shell:
    """Stands for an object of a class that is not loaded; keeps its attributes."""

    def __init__(self, *_):
        self.state = {}

    def __setstate__(self, state):
        self.state = state if isinstance(state, dict) else {}


def _reconstruct(kind: type, *_) -> object:
    return kind() if kind is _Shell else None


_INSTEAD = {
    **dict.fromkeys(
        (
            "chumpy.ch.Ch",
            "scipy.sparse.csc.csc_matrix",
            "scipy.sparse._csc.csc_matrix",
            "builtins.object",
        ),
        _Shell,
    ),
    "copy_reg._reconstructor": _reconstruct,
    "copyreg._reconstructor": _reconstruct,
}


def rest_joints(path: str | Path, betas: np.ndarray) -> np.ndarray:
    """(24, 3) joints in T-pose, metres, of the SMPL file at `path` with the shape (10,) `betas`.

    Raises InputError where the file is missing, broken, no SMPL model, or a pickle that wants to run anything.
    """
    path = Path(path)
    raw = read_arrays(path) if path.suffix == ".npz" else load_pickle(path, instead=_INSTEAD)
    try:
        template, shapes, regressor = (
            _array(raw[name]) for name in ("v_template", "shapedirs", "J_regressor")
        )
        vertices = template + shapes[..., : len(betas)] @ betas
        joints = regressor[:_JOINTS] @ vertices
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a SMPL model ({type(error).__name__}: {error}).") from error
    if joints.shape != (_JOINTS, 3) or not np.isfinite(joints).all():
        raise InputError(
            f"{path}: its joints have shape {joints.shape}, expected 24 finite ones of SMPL."
        )
    return joints


def _array(value: object) -> np.ndarray:
    if not isinstance(value, _Shell):
        return np.asarray(value, np.float64)
    state = value.state
    if "x" in state:  # chumpy
        return np.asarray(state["x"], np.float64)
    parts = (state["data"], state["indices"], state["indptr"])
    shape = state["_shape"] if "_shape" in state else state["shape"]
    matrix = csc_matrix(parts, shape=shape)
    matrix.check_format(full_check=True)  # indices out of range would be written to
    return matrix.toarray()
