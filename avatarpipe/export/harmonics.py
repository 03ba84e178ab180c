"""Turning colours that depend on the view together with the world they are seen in."""

import numpy as np
import torch

from avatarpipe.gaussians.harmonics import sh_basis

_DIRECTIONS = 64  # more than the 16 harmonics of degree 3 need, spread evenly: the system below is well conditioned


def turned_sh(sh: torch.Tensor, rotation: np.ndarray) -> torch.Tensor:
    """(N, K, 3) coefficients whose colour along R d is that of `sh` along d, for a rotation R (3, 3).

    The harmonics of a band turn among themselves, so the K x K matrix that does it is exact: it solves
    Y(d) turn = Y(R^T d) over more directions d than there are harmonics.
    """
    count = sh.shape[1]
    directions = torch.from_numpy(_spread(_DIRECTIONS))
    before = sh_basis(directions @ torch.as_tensor(rotation, dtype=torch.float64), count)
    turn = torch.linalg.lstsq(sh_basis(directions, count), before).solution
    return torch.einsum("kj,njc->nkc", turn.to(sh), sh)


def _spread(count: int) -> np.ndarray:
    """(count, 3) unit vectors on a spiral from pole to pole, all about as far apart (a Fibonacci sphere)."""
    index = np.arange(count) + 0.5
    y, angle = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - y**2)
    return np.stack([flat * np.cos(angle), y, flat * np.sin(angle)], axis=1)
