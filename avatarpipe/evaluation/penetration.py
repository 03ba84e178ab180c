"""How far one layer pokes through the surface that it should stay outside of."""

from collections.abc import Iterator

import numpy as np

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.hidden import LAYER_PREFIX
from avatarpipe.evaluation.rows import Scores, score_rows
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.metrics import penetration

VISIBLE_OPACITY = 0.1
TRUE_BODY = f"{LAYER_PREFIX}body"
"""What a synthetic capture calls the mesh of the true body, in its first frame's pose, among its ground truth."""


def penetration_scores(points: np.ndarray, opacities: np.ndarray, surface: Mesh) -> Scores:
    """Share and depth of `points` inside the closed `surface`.

    points: (N, 3) metres, centres of the outer layer's Gaussians in the pose of the surface. opacities: (N,); those
    under 0.1 hardly show and are left out. Rate: inside / all. Mean and largest depth are over the points inside, in
    mm; 0 where none is. Raises ValueError where no point is left.
    """
    visible = points[opacities >= VISIBLE_OPACITY]
    if not len(visible):
        raise ValueError("penetration of no points: the outer layer is empty or transparent")
    found = penetration(visible, surface)
    return {
        "penetration_rate": (found.share, "ratio"),
        "penetration_depth_mean": (1000 * found.mean_depth, "mm"),
        "penetration_depth_max": (1000 * found.max_depth, "mm"),
    }


def penetration_rows(
    avatar: Avatar, capture: Capture, body: Body, true_body: Mesh | None = None
) -> Iterator[dict]:
    """Rows of each layer above the first: against the fitted body in every frame, against the true one in the first.

    The body's surface stands for the inner layer's, which is made to lie on it.
    """
    for name in avatar.layer_names[1:]:
        for index, frame in enumerate(capture.frame_names):
            params = capture.poses[index]
            cloud = avatar.pose(params.to(body.device), layers=(name,)).to("cpu")
            points, opacities = cloud.means.double().numpy(), cloud.opacities.numpy()
            fitted = Mesh(body.vertices(params)[0].double().cpu().numpy(), body.faces)
            scores = penetration_scores(points, opacities, fitted)
            if true_body is not None and index == 0:
                exact = penetration_scores(points, opacities, true_body)
                scores |= {f"{metric}_true_body": score for metric, score in exact.items()}
            yield from score_rows(scores, layer=name, frame=frame)
