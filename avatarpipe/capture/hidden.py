"""What lies under a garment, for synthetic subjects whose layers are known apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from avatarpipe.capture.labels import Label, garment_labels
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh, load_mesh

LAYER_PREFIX = "layer_"  # a truth entry "layer_upper" is the mesh of Label.UPPER; "layer_body" is all of the skin


def layer_names(truth: dict[str, Path]) -> list[str]:
    """The truth entries that are layers of the subject."""
    return [name for name in truth if name.startswith(LAYER_PREFIX)]


def label_of(layer: str) -> Label:
    """The label of a truth entry such as "layer_upper"."""
    part = layer.removeprefix(LAYER_PREFIX).upper()
    if part == "BODY":
        return Label.SKIN
    if part not in Label.__members__:
        raise InputError(
            f"truth layer {layer!r}: no label is called {part}. Synthesize the subject again."
        )
    return Label[part]


def without_garment(truth: dict[str, Path], garment: str) -> Mesh:
    """All layers but those that `garment` ("upper", "lower", "both") takes off, as one textured mesh with face labels."""
    taken_off = garment_labels(garment)
    meshes = []
    for name in layer_names(truth):
        if label_of(name) not in taken_off:
            mesh = load_mesh(truth[name])
            mesh.face_labels = np.full(len(mesh.faces), label_of(name), np.uint8)
            meshes.append(mesh)
    return Mesh.concatenate(share_texture(meshes))


def share_texture(meshes: list[Mesh]) -> list[Mesh]:
    """Meshes with textures of their own, given one texture: the images stacked, the UVs (in [0, 1]) moved along.

    Each image gets a rim of its own outermost texels, so that a lookup never blends with its neighbour. Meshes without a
    texture are returned as they are where none has one; a mixture raises InputError.
    """
    textures = [mesh.texture for mesh in meshes]
    if all(texture is None for texture in textures):
        return meshes
    if any(texture is None for texture in textures):
        raise InputError("layers: some have a texture and some have not; give all of them one.")
    width = max(texture.shape[1] for texture in textures) + 2
    height = sum(texture.shape[0] + 2 for texture in textures)
    shared, top, moved = np.zeros((height, width, 3), np.uint8), 0, []
    for mesh, texture in zip(meshes, textures, strict=True):
        rows, columns = texture.shape[:2]
        shared[top : top + rows + 2, : columns + 2] = np.pad(
            texture, ((1, 1), (1, 1), (0, 0)), "edge"
        )
        u = (mesh.uvs[..., 0] * columns + 1) / width
        v = 1.0 - ((1.0 - mesh.uvs[..., 1]) * rows + top + 1) / height
        moved.append(replace(mesh, uvs=np.stack([u, v], axis=-1)))
        top += rows + 2
    return [replace(mesh, texture=shared) for mesh in moved]
