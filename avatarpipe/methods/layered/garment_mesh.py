"""Which faces of an avatar's surface are garment: a vote of the views that see them."""

import numpy as np

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import garment_mask
from avatarpipe.errors import InputError
from avatarpipe.export.surface import SurfaceViews
from avatarpipe.mesh.cleanup import keep_large_components
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.votes import vote_faces

SMALLEST_PIECE = 25  # faces of a garment; what is smaller is noise of the labels


def garment_scores_from_labels(posed: Mesh, capture: Capture, garment: str) -> np.ndarray:
    """(F,) share of the training views seeing a face of the posed surface whose label map shows the garment there."""
    masks = garment_mask(capture.stack("train", "labels"), garment)
    return vote_faces(posed, capture.cameras("train"), masks, smoothing=3)


def garment_scores_from_layers(canonical: Mesh, views: SurfaceViews, layer: int) -> np.ndarray:
    """(F,) share of the surrounding views seeing a face of the canonical surface in which `layer` is foremost."""
    foremost = views.layers[..., layer] > 0.5 * views.alphas
    return vote_faces(canonical, views.cameras, foremost & (views.alphas > 0.5), smoothing=3)


def garment_part(mesh: Mesh, scores: np.ndarray) -> Mesh:
    """The faces that at least half of the views call garment; InputError where there are none."""
    part = mesh.submesh(scores >= 0.5)
    if len(part.faces):
        part = keep_large_components(part, min_faces=SMALLEST_PIECE)
    if not len(part.faces):
        raise InputError(
            "garment mesh: no face of the surface was voted garment. Check the label maps, and that the "
            "garment class in config is one that the subject wears."
        )
    return part
