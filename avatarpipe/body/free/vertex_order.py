"""Order the vertices so that the ids hard-coded in smplx (nose, eyes, ears, finger and toe tips) hit.

Each anatomical vertex is found on the T-posed template and swapped with whatever holds its smplx id.
"""

import numpy as np
from smplx.vertex_ids import vertex_ids

from avatarpipe.body.free.joints import INDEX

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_TOES = {"BigToe": "toe1", "SmallToe": "toe5"}


def smplx_order(template, weights, eyes, joints, toe_weights) -> np.ndarray:
    """(V,) permutation: new vertex i is old vertex order[i].

    template (V, 3), weights (V, 55), eyes (V,) bool, joints (55, 3); toe_weights maps toes such as
    "toe1.L" to the (V,) weights of their bones.
    """
    found = anatomical_vertices(template, weights, eyes, joints, toe_weights)
    order = np.arange(len(template))
    for name, vertex in found.items():
        target = vertex_ids["smplx"][name]
        holder = int(np.flatnonzero(order == vertex)[0])
        order[[target, holder]] = order[[holder, target]]
    return order


def anatomical_vertices(template, weights, eyes, joints, toe_weights) -> dict[str, int]:
    """smplx's names of vertices -> vertex of this mesh."""
    head = (weights[:, INDEX["head"]] + weights[:, INDEX["jaw"]] > 0.9) & ~eyes
    middle = head & (np.abs(template[:, 0]) < 0.004)
    found = {"nose": _farthest(template, middle, [0, 0, 1])}
    for short, side, letter, sign in (("l", "left", "L", 1), ("r", "right", "R", -1)):
        own = template[:, 0] * sign > 0
        found[f"{short}eye"] = _front_of_eye(template, eyes & own)
        low_head = head & own & (template[:, 1] < joints[INDEX[f"{side}_eye"], 1] + 0.02)
        found[f"{short}ear"] = _farthest(template, low_head, [sign, 0, 0])
        for finger in _FINGERS:
            last = INDEX[f"{side}_{finger}3"]
            along = joints[last] - joints[last - 1]
            found[f"{short}{finger}"] = _farthest(template, weights[:, last] > 0.5, along)
        for toe, toe_bones in _TOES.items():
            on_toe = toe_weights[f"{toe_bones}.{letter}"] > 0.5
            found[f"{letter}{toe}"] = _farthest(template, on_toe, [0, 0, 1])
        heel = weights[:, INDEX[f"{side}_ankle"]] > 0.5
        found[f"{letter}Heel"] = _farthest(template, heel, [0, -0.5, -1])
    return found


def _front_of_eye(template: np.ndarray, eyeball: np.ndarray) -> int:
    """The vertex of an eyeball's front that is nearest to its axis."""
    chosen = np.flatnonzero(eyeball)
    offset = template[chosen] - template[chosen].mean(0)
    off_axis = np.linalg.norm(offset[:, :2], axis=1)
    return int(chosen[np.where(offset[:, 2] > 0, off_axis, np.inf).argmin()])


def _farthest(template: np.ndarray, mask: np.ndarray, direction) -> int:
    chosen = np.flatnonzero(mask)
    return int(chosen[np.argmax(template[chosen] @ np.asarray(direction, float))])
