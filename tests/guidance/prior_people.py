"""Cheap people for tests of the prior: the body itself in one colour, its upper half imagined covered."""

from dataclasses import dataclass

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.labels import Label
from avatarpipe.guidance.prior_data import Shard
from avatarpipe.guidance.words import VIEWS
from avatarpipe.mesh.mesh import Mesh


@dataclass
class PlainPerson:
    labels: np.ndarray
    colors: np.ndarray
    captured: BodyParams
    upper: np.ndarray

    def mesh(self, body: Body, params: BodyParams, marked: np.ndarray | None = None) -> Mesh:
        vertices = body.vertices(params)[0].double().numpy()
        labels = self.labels if marked is None else marked.astype(np.uint8)
        return Mesh(vertices, body.faces, vertex_colors=self.colors, vertex_labels=labels)

    def covered(self, rng: np.random.Generator) -> np.ndarray:
        return self.upper


def plain_person(body: Body, gender: str, seed: int, trousers: bool) -> PlainPerson:
    """A Maker: the colour is the seed's."""
    count = len(body.v_template)
    color = np.random.default_rng(seed).uniform(0.3, 0.9, 3).astype(np.float32)
    upper = body.v_template[:, 1].numpy() > -0.1
    return PlainPerson(
        np.full(count, Label.SKIN, np.uint8), np.tile(color, (count, 1)), BodyParams.zeros(), upper
    )


def four_pictures(size: int = 16) -> Shard:
    """A red, green, blue and white square in its own corner; the skeleton is a dot in that corner, half is hidden."""
    half = size // 2
    colors, dots = np.zeros((4, size, size, 3), np.uint8), np.zeros((4, size, size, 3), np.uint8)
    alpha, hidden = np.zeros((4, size, size), np.uint8), np.zeros((4, size, size), bool)
    tones = np.array([(220, 30, 30), (30, 200, 40), (40, 60, 220), (230, 230, 230)], np.uint8)
    for k, (row, column) in enumerate(((0, 0), (0, half), (half, 0), (half, half))):
        square = (k, slice(row + 1, row + half - 1), slice(column + 1, column + half - 1))
        colors[square], alpha[square] = tones[k], 255
        hidden[square] = True
        dots[
            k,
            row + half // 2 - 1 : row + half // 2 + 1,
            column + half // 2 - 1 : column + half // 2 + 1,
        ] = 255
    return Shard(
        colors, alpha, hidden, dots, np.arange(4) % len(VIEWS) * 2, tones.astype(np.float32) / 255.0
    )
