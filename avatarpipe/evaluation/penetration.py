"""How far one layer pokes through the surface that it should stay outside of."""

from collections.abc import Iterator

import numpy as np

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.hidden import LAYER_PREFIX
from avatarpipe.evaluation.rows import Scores, score_rows
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.signed import signed_distance

VISIBLE_OPACITY = 0.1
TRUE_BODY = f"{LAYER_PREFIX}body"
"""What a synthetic capture calls the mesh of the true body, in its first frame's pose, among its ground truth."""


def penetration(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, opacities: np.ndarray | None = None
) -> Scores:
    """Share and depth of `points` inside the closed surface (vertices, faces).

    points: (N, 3) metres, centres of the outer layer's Gaussians in the pose of the surface. opacities: (N,); those
    under 0.1 hardly show and are left out. Rate: inside / all. Mean, 95th percentile and largest depth are over the
    points inside, in mm; 0 where none is. Raises ValueError where no point is left.
    """
    if opacities is not None:
        points = points[opacities >= VISIBLE_OPACITY]
    if not len(points):
        raise ValueError("penetration of no points: the outer layer is empty or transparent")
    depth_mm = -1000.0 * np.asarray(signed_distance(points, vertices, faces))
    inside = depth_mm[depth_mm > 0]
    summary = inside if len(inside) else np.zeros(1)
    return {
        "penetration_rate": (len(inside) / len(points), "ratio"),
        "penetration_depth_mean": (float(summary.mean()), "mm"),
        "penetration_depth_p95": (float(np.percentile(summary, 95)), "mm"),
        "penetration_depth_max": (float(summary.max()), "mm"),
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
            vertices = body.vertices(params)[0].double().cpu().numpy()
            scores = penetration(points, vertices, body.faces, opacities)
            if true_body is not None and index == 0:
                exact = penetration(points, true_body.vertices, true_body.faces, opacities)
                scores |= {f"{metric}_true_body": score for metric, score in exact.items()}
            yield from score_rows(scores, layer=name, frame=frame)
