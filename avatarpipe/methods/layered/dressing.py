"""One subject's garment on another's body: layers share the canonical space, so they can be swapped."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from avatarpipe.body.skinning import bind, canonical_vertices
from avatarpipe.errors import InputError
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.methods.layered.clearance import surface_frames
from avatarpipe.skinned_avatar import SkinnedAvatar, SkinnedLayer

NEIGHBOURS = 16  # surfels of the body that a garment surfel must lie above
REACH = 0.03  # metres along the surface within which they count
HIGHEST = 0.05  # metres: what stands higher off the body (hair) does not lift a garment


def dressed(wearer: SkinnedAvatar, owner: SkinnedAvatar, clearance: float = 0.004) -> SkinnedAvatar:
    """The inner layer of `wearer` under the outer layer of `owner`, in the wearer's shape and captured pose.

    The garment keeps its place over the body surface, and is lifted to `clearance` metres above whatever the wearer has
    there. Raises InputError where an avatar lacks the layer, or the two bodies are of different topology.
    """
    for avatar, layer in ((wearer, "inner"), (owner, "outer")):
        if layer not in avatar.layers:
            raise InputError(
                f"{avatar.subject}: this avatar has layers {', '.join(avatar.layers)} and no {layer}. "
                "Give the avatar.json of the outer stage."
            )
    if not np.array_equal(wearer.body.faces, owner.body.faces):
        raise InputError(
            f"{wearer.subject} and {owner.subject}: their bodies have different meshes, so a garment cannot "
            "be carried over. Train both on bodies of one family."
        )
    inner = wearer.layers["inner"]
    garment = _lifted_above(_carried_over(wearer, owner), inner.cloud, wearer, clearance)
    outer = SkinnedLayer(garment, bind(garment.means, wearer.body))
    return replace(
        wearer, subject=f"{wearer.subject}-in-{owner.subject}", layers={"inner": inner, "outer": outer}
    )


def _carried_over(wearer: SkinnedAvatar, owner: SkinnedAvatar) -> GaussianCloud:
    """The owner's garment moved with the surface from the owner's mean body to the wearer's."""
    layer = owner.layers["outer"]
    shift = canonical_vertices(wearer.body) - canonical_vertices(owner.body)
    return replace(layer.cloud, means=layer.cloud.means + layer.binding.at(shift))


def _lifted_above(
    garment: GaussianCloud, inner: GaussianCloud, wearer: SkinnedAvatar, clearance: float
) -> GaussianCloud:
    frames = surface_frames(bind(garment.means, wearer.body), wearer.body)
    below = surface_frames(bind(inner.means, wearer.body), wearer.body)
    heights = below.height(inner.means).clamp(0.0, HIGHEST).cpu().numpy()
    distances, nearest = cKDTree(below.points.cpu().numpy()).query(
        frames.points.cpu().numpy(), NEIGHBOURS, distance_upper_bound=REACH
    )
    reached = np.where(np.isfinite(distances), np.append(heights, 0.0)[nearest], 0.0)
    wanted = torch.as_tensor(reached.max(axis=1) + clearance, dtype=torch.float32, device=garment.device)
    missing = (wanted - frames.height(garment.means)).clamp_min(0.0)
    return replace(garment, means=garment.means + missing[:, None] * frames.normals)
