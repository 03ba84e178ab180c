"""Hair as a combed volume: thickness over the scalp by hairline and style, hanging where it is long."""

import numpy as np
from scipy.spatial import cKDTree

from avatarpipe.capture.labels import Label
from avatarpipe.synthetic.cloth import Scene, displaced
from avatarpipe.synthetic.fields import Grid, distance_field, drape, smooth_min
from avatarpipe.synthetic.figure import JOINT
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.noise import bump, noise, smoothstep
from avatarpipe.synthetic.sheets import clip, largest_pieces, smoothing
from avatarpipe.synthetic.traits import Traits

# Elevation of the hairline, degrees, at azimuths from the front (0) to the back (180).
_AZIMUTHS = np.radians([0, 25, 45, 62, 80, 95, 112, 140, 180])
_HAIRLINES = {
    "cropped": np.radians([21, 23, 24, 16, -18, -20, -30, -42, -48]),
    "short": np.radians([20, 22, 22, 12, -24, -26, -36, -46, -52]),
    "bob": np.radians([22, 23, 20, 8, -18, -26, -40, -50, -54]),
    "long": np.radians([22, 22, 19, 6, -20, -28, -40, -50, -54]),
}
_THICKNESS = {"cropped": 0.007, "short": 0.019, "bob": 0.020, "long": 0.018}
_HANG = {"cropped": 0.0, "short": 0.0, "bob": 0.02, "long": 0.17}  # metres below the chin joint


def skull(figure) -> tuple[np.ndarray, float]:
    """Centre of the skull at rest, and its half width."""
    eyes = figure.rest_joints[[JOINT["left_eye"], JOINT["right_eye"]]].mean(axis=0)
    head = figure.rest[figure.head > 0.9]
    top, back = head[:, 1].max(), head[:, 2].min()
    return np.array(
        [0.0, eyes[1] + 0.30 * (top - eyes[1]), 0.5 * (back + eyes[2]) + 0.004]
    ), 0.5 * np.ptp(head[:, 0])


def above_hairline(figure, traits: Traits, rest: np.ndarray) -> np.ndarray:
    """(N,) radians above the hairline of (N, 3) rest points, with a ragged edge; negative on the face and neck."""
    centre, _ = skull(figure)
    x, y, z = (rest - centre).T
    azimuth = np.abs(np.arctan2(x, z))
    elevation = np.arctan2(y, np.hypot(x, z))
    line = np.interp(azimuth, _AZIMUTHS, _HAIRLINES[traits.hair_kind])
    return elevation - line + 0.05 * noise(rest * 55, traits.seed + 21, 2)


def make_hair(scene: Scene, traits: Traits, spacing: float, below: np.ndarray | None) -> Layer:
    """The hair as a layer. below: level set of the upper garment on the scene's grid, over which long hair lies."""
    figure = scene.figure
    ids = np.flatnonzero(scene.sample_rest[:, 1] > figure.rest_joints[JOINT["spine3"], 1])
    ids = ids[scene.shares["arm"][ids] < 0.5]
    long = _HANG[traits.hair_kind] > 0
    points = scene.samples[ids]
    grid = _grid(scene, traits, spacing)
    body = distance_field(grid, points, scene.sample_normals[ids])
    rest = scene.sample_rest[ids]
    thickness = grid.blurred(
        body.spread(_thickness(figure, traits, rest).astype(np.float32), -0.02), 0.006
    )
    field = grid.blurred(body.distance, 0.007) - thickness
    if long:
        field = smooth_min(field, _hanging(scene, traits, grid, field, below), 0.012)
    vertices, faces = grid.surface(field.astype(np.float32))
    faces, vertices = largest_pieces(faces, vertices)
    nearest = cKDTree(points).query(vertices)[1]
    smooth = smoothing(faces, len(vertices))
    carried = rest[nearest]
    for _ in range(6):
        carried = smooth @ carried
    vertices = smooth @ vertices
    local = _head_frame(figure, vertices)
    vertices = displaced(vertices, faces, _locks(figure, traits, local))
    faces, columns = _without_buried(scene, faces, np.column_stack([vertices, carried, local]))
    attributes = {"rest": columns[:, 3:6], "local": columns[:, 6:9]}
    detail = np.full(len(columns), 1.5)
    return Layer(
        "hair",
        Label.HAIR,
        columns[:, :3],
        faces,
        attributes,
        _painter(figure, traits),
        detail,
        kind=traits.hair_kind,
    )


def _grid(scene: Scene, traits: Traits, spacing: float) -> Grid:
    """Around the head, and as far down as the hair hangs."""
    head = scene.samples[scene.shares["head"] > 0.4]
    low = head.min(axis=0) - np.array([0.03, _HANG[traits.hair_kind], 0.05])
    return Grid.around(np.vstack([head, low]) if _HANG[traits.hair_kind] else head, spacing, 0.045)


def _thickness(figure, traits: Traits, rest: np.ndarray) -> np.ndarray:
    """(N,) metres of hair on the scalp, negative (buried) beyond the hairline."""
    height = above_hairline(figure, traits, rest)
    centre, _ = skull(figure)
    x, y, z = (rest - centre).T
    full = _THICKNESS[traits.hair_kind]
    top = smoothstep(y, -0.01, 0.07)
    full = (
        full * (0.42 + 0.58 * top)
        if traits.hair_kind in ("short", "cropped")
        else full * (0.75 + 0.25 * top)
    )
    part = (
        bump(x, 0.028, 0.007)
        * smoothstep(z, -0.06, 0.0)
        * (0.5 if traits.hair_kind != "cropped" else 0.0)
    )
    full = full * (1.0 - part)
    return -0.006 + (full + 0.006) * smoothstep(height, -0.02, 0.22) ** 0.7


def _hanging(scene: Scene, traits: Traits, grid: Grid, field: np.ndarray, below) -> np.ndarray:
    """Hair that falls from behind the ears and the back of the head, lying over the garment."""
    figure = scene.figure
    head, neck = figure.joints[JOINT["head"]], figure.joints[JOINT["neck"]]
    x, y, z = np.meshgrid(
        *(grid.origin[k] + grid.spacing * np.arange(grid.shape[k]) for k in range(3)), indexing="ij"
    )
    hung = drape(field.astype(np.float32), np.full(grid.shape, 0.16 * grid.spacing, np.float32))
    centre, _ = skull(figure)
    ear_z = (figure.transforms[JOINT["head"]] @ [*centre, 1.0])[2]
    wave = 0.012 * np.sin(np.arctan2(x - head[0], z - ear_z) * 9.0)
    end = neck[1] + 0.045 - _HANG[traits.hair_kind] + wave
    front = z - (ear_z + 0.022 - 0.25 * np.maximum(head[1] - y, 0))
    if below is not None:
        garment = scene.grid.at(below, np.stack([x, y, z], axis=-1).reshape(-1, 3)).reshape(
            grid.shape
        )
        on_back = np.maximum(garment - 0.014, np.maximum(np.abs(x - neck[0]) - 0.085, z - neck[2]))
        on_back = np.maximum(on_back, y - head[1])
        hung = smooth_min(hung, on_back, 0.02)
    return np.maximum(hung, np.maximum(front, end - y))


def _head_frame(figure, vertices: np.ndarray) -> np.ndarray:
    """Posed points in the rest frame of the head, relative to the skull's centre."""
    matrix = figure.transforms[JOINT["head"]]
    centre, _ = skull(figure)
    return (vertices - matrix[:3, 3]) @ matrix[:3, :3] - centre


def strands(
    traits: Traits, local: np.ndarray, across: float, along: float, octaves: int
) -> np.ndarray:
    """(N,) noise drawn out along the way that hair is combed: from the parting or crown outward and down."""
    x, y, z = local.T
    if traits.hair_kind in ("short", "cropped"):
        root = np.array([0.0, 0.06, -0.07])
    else:
        root = np.array([0.01, 0.08, 0.01])
    dx, dz = x - root[0], z - root[2]
    angle = np.arctan2(dx, dz)
    run = np.hypot(dx, dz) - 1.2 * np.minimum(y - root[1], 0)
    swirl = angle + 1.2 * noise(local * 14, traits.seed + 31, 2) * 0.25
    circle = across * np.column_stack([np.cos(swirl), np.sin(swirl), 0 * run])
    circle[:, 2] = along * run
    return noise(circle, traits.seed + 33, octaves)


def _locks(figure, traits: Traits, local: np.ndarray) -> np.ndarray:
    """(V,) metres of relief: locks, finer ones on top of coarse ones."""
    size = {"cropped": 0.0012, "short": 0.0055, "bob": 0.0042, "long": 0.0045}[traits.hair_kind]
    coarse, fine = strands(traits, local, 5.0, 9.0, 2), strands(traits, local, 14.0, 12.0, 2)
    return size * (coarse + 0.6 * fine)


def _without_buried(scene: Scene, faces: np.ndarray, columns: np.ndarray):
    """Cut away what lies more than 4 mm inside the head."""
    nearest = scene.tree.query(columns[:, :3])[1]
    offset = columns[:, :3] - scene.samples[nearest]
    height = np.einsum("nk,nk->n", offset, scene.sample_normals[nearest])
    faces, columns = clip(faces, columns, height + 0.004)
    return largest_pieces(faces, columns, 0.05)


def _painter(figure, traits: Traits):
    base = np.array(traits.hair)

    def paint(a: dict[str, np.ndarray]) -> np.ndarray:
        local = a["local"]
        fine = strands(traits, local, 60.0, 10.0, 2)
        coarse = strands(traits, local, 14.0, 9.0, 2)
        value = 1.0 + 0.38 * fine + 0.32 * coarse
        sheen = bump(
            np.linalg.norm(local - [0, -0.02, 0], axis=1) * 0 + local[:, 1], 0.055, 0.03
        ) * (0.6 + 0.5 * fine)
        color = base * np.clip(value, 0.35, 1.8)[:, None]
        return np.clip(color + 0.10 * np.clip(sheen, 0, 1)[:, None] * (base + 0.25), 0, 1)

    return paint
