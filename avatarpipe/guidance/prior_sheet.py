"""How good a prior is on people it never saw: samples beside true renders of the same conditions, as a picture and as figures."""

import numpy as np
import torch

from avatarpipe.guidance.prior_data import PriorBatch, PriorImages
from avatarpipe.guidance.prior_model import SEEN, TONE, Prior, PriorCondition, planes, sample

SAMPLING_STEPS = 40
COLUMNS = 16
ENLARGED = 2
GREY = 0.5  # what the people stand before: black would count as untold
TOLD = ("skeleton", "skeleton and skin tone", "skeleton, skin tone and what was seen")


def held_out(prior: Prior, images: PriorImages, seed: int) -> tuple[np.ndarray, dict[str, float]]:
    """A sheet (H, W, 3) of rows truth, what was seen, and a sample for each of TOLD; and PSNR where the truth was hidden.

    The people are spread over `images`, one a column.
    """
    indices = torch.linspace(0, len(images) - 1, min(COLUMNS, len(images))).long().to(images.device)
    batch = images.at(indices, GREY)
    rows, scores = [batch.images, batch.seen.colors], {}
    for told, condition in zip(TOLD, _conditions(batch), strict=True):
        drawn = sample(prior, condition, SAMPLING_STEPS, torch.Generator().manual_seed(seed))
        rows.append(drawn)
        scores[told] = _hidden_psnr(drawn, batch)
    return _tiled(rows), scores


def _conditions(batch: PriorBatch) -> list[PriorCondition]:
    """One a member of TOLD, knowing more and more; the background is always told."""
    whole = PriorCondition(batch.classes, planes(batch.skeletons, batch.seen, batch.tones))
    every = torch.ones_like(batch.classes, dtype=torch.bool)
    unseen = whole.without(every, SEEN)
    return [unseen.without(every, TONE), unseen, whole]


def _hidden_psnr(drawn: torch.Tensor, batch: PriorBatch) -> float:
    """dB over all hidden pixels of the batch; 100 at most."""
    squared = (drawn - batch.images).square()[batch.hidden]
    return float(-10.0 * torch.log10(squared.mean().clamp_min(1e-10)))


def _tiled(rows: list[torch.Tensor]) -> np.ndarray:
    sheet = torch.cat([torch.cat(list(row), dim=1) for row in rows], dim=0).cpu().numpy()
    return sheet.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
