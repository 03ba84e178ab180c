"""Frechet Inception distance (Heusel et al. 2017) of rendered and true crops, in the convention of pytorch-fid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from avatarpipe.evaluation.inception import WEIGHT_FILE, Inception

FEWEST = 2
"""Images of which a covariance can be told."""


def fid_weights(folder: str | Path) -> Path | None:
    """The weight file in `folder`, or None where it is missing and FID cannot be computed."""
    path = Path(folder) / WEIGHT_FILE
    return path if path.is_file() else None


def features(network: Inception, images: Sequence[np.ndarray]) -> np.ndarray:
    """(B, 2048) of (H, W, 3) images in [0, 1], which are cut to 8 bits as image files would."""
    bytes_ = (np.stack(images) * 255).astype(np.uint8)
    device = next(network.parameters()).device
    pixels = torch.from_numpy(bytes_).to(device).permute(0, 3, 1, 2).float() / 255
    return network(pixels).double().cpu().numpy()


def frechet_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)) of the means and covariances of two sets of features (N, D).

    With S = R^T R the trace of the root is the sum of the singular values of R1 R2^T, which is exact where there are
    fewer images than features and S has no full rank. Raises ValueError where a set has fewer than FEWEST rows.
    """
    if min(len(ours), len(theirs)) < FEWEST:
        raise ValueError(f"{len(ours)} and {len(theirs)} images; a covariance needs {FEWEST}")
    shift = ours.mean(axis=0) - theirs.mean(axis=0)
    roots = [_root(each) for each in (ours, theirs)]
    common = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return float(shift @ shift + sum((root**2).sum() for root in roots) - 2 * common)


def _root(rows: np.ndarray) -> np.ndarray:
    """(min(N, D), D) R with R^T R the unbiased covariance of (N, D) rows."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return centred if len(rows) <= rows.shape[1] else np.linalg.qr(centred, mode="r")
