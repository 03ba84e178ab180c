"""Textured scans of the fake body over time, as the writers of raw scan formats are given them."""

from dataclasses import replace

import fake_subject
import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.datasets.arrays import stacked
from avatarpipe.datasets.writers.scans import RawScans
from avatarpipe.mesh.mesh import Mesh


def poses(body: Body, count: int) -> BodyParams:
    """`count` bodies of one shape that walk along x and turn, hands of 12 PCA coefficients."""
    first = fake_subject.decoded(fake_subject.raw_fit(), body)
    steps = [
        first.replaced(
            transl=first.transl + torch.tensor([[0.15 * k, 0.0, 0.0]]),
            global_orient=first.global_orient + torch.tensor([[0.0, 0.1 * k, 0.0]]),
        )
        for k in range(count)
    ]
    return stacked(steps)


def texture() -> np.ndarray:
    """(48, 96, 3) uint8, no row like another."""
    rows, columns = np.mgrid[:48, :96]
    return np.stack([rows * 5, columns * 2, (rows + columns) % 7 * 30], axis=-1).astype(np.uint8)


def recording(body: Body, frames: tuple[int, ...] = (11,), gender: str = "male") -> RawScans:
    """Scans of the body itself, 4 mm thicker, with labels, a UV a vertex and float32 vertices."""
    fits = poses(body, len(frames))
    labels = (fake_subject.dressed_labels(body) + 1).astype(np.uint8)
    uvs = np.random.default_rng(0).uniform(0, 1, (len(labels), 2)).astype(np.float32)

    def scan(index: int) -> Mesh:
        naked = Mesh(body.vertices(fits[index])[0].double().numpy(), body.faces)
        vertices = (naked.vertices + 0.004 * naked.vertex_normals()).astype(np.float32)
        whole = Mesh(vertices, body.faces, uvs[body.faces], texture(), vertex_labels=labels)
        return whole

    return RawScans(frames, fits, gender, scan, body)


def unlabelled(given: RawScans) -> RawScans:
    """The same without labels."""
    return replace(given, scan=lambda index: replace(given.scan(index), vertex_labels=None))
