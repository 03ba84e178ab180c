"""Renders of people for a prior, made by all cores, kept person by person so that a killed run goes on where it was."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from scipy.ndimage import maximum_filter

from avatarpipe.body.model import Body, BodyParams
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.files import write_json
from avatarpipe.guidance.cameras import (
    CameraSettings,
    GuidanceViews,
    Zoom,
    Zooms,
    part_centres,
    sample_views,
)
from avatarpipe.guidance.poses import ARMS_LOWERED, CANONICAL, guidance_poses
from avatarpipe.guidance.prior_data import Shard
from avatarpipe.guidance.prior_words import word_class
from avatarpipe.guidance.skeleton import draw_skeletons, figure
from avatarpipe.guidance.words import PERSON
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import MeshRendering, render_mesh
from avatarpipe.processes import one_thread_each

VIEWS_A_POSE = 8
SUPERSAMPLE = 2
CAMERAS = CameraSettings()
ZOOMS = Zooms(head=Zoom(0.05), upper=Zoom(0.30), legs=Zoom(0.15))
POSE_SHARES = {CANONICAL: 0.45, ARMS_LOWERED: 0.3, "natural": 0.25}
BARE_SHARE = 0.3  # of people who wear no trousers
RAISED = 0.4  # metres, as the canonical pose is


class Person(Protocol):
    """What is rendered: someone who can be posed, and covered by an imagined garment."""

    labels: np.ndarray  # (V,) uint8
    colors: np.ndarray  # (V, 3) sRGB
    captured: BodyParams
    """The natural pose and the shape of the person."""

    def mesh(self, body: Body, params: BodyParams, marked: np.ndarray | None = None) -> Mesh:
        """The coloured mesh in a pose, its vertex labels those of `marked` (V,)."""
        ...

    def covered(self, rng: np.random.Generator) -> np.ndarray:
        """(V,) bool: what a garment drawn by `rng` hides."""
        ...


Maker = Callable[[Body, str, int, bool], Person]
"""Makes the person of (body, gender, seed, trousers); a function of a module, since other processes call it."""


@dataclass(frozen=True)
class RenderSettings:
    """How each person is pictured."""

    size: int
    """Side of the images in pixels."""
    poses: int
    """Of each person, each seen from VIEWS_A_POSE cameras."""


def rendered_shards(
    folder: Path, seeds: Sequence[int], bodies: dict[str, Path], maker: Maker, settings: RenderSettings,
    workers: int, track,
) -> list[Path]:  # fmt: skip
    """The shards of `seeds` in `folder`, those missing made by `workers` processes.

    bodies: npz by gender. Whoever a seed makes is a man or a woman, with trousers or without, by the seed alone. Shards
    of other settings are not mixed in: InputError asks for another folder. track: see terminal.
    """
    _claim(folder, settings, maker)
    paths = {seed: folder / f"{seed:07d}.npz" for seed in seeds}
    missing = [seed for seed, path in paths.items() if not path.is_file()]
    work = partial(_write_shard, bodies=bodies, maker=maker, settings=settings)
    jobs = [(seed, paths[seed]) for seed in missing]
    for _ in track(_in_parallel(work, jobs, workers), len(jobs), "rendering people"):
        pass
    return list(paths.values())


def _claim(folder: Path, settings: RenderSettings, maker: Maker) -> None:
    """Note in `folder` what its shards are made with, or check the note."""
    made_with = {
        "size": settings.size,
        "poses": settings.poses,
        "maker": f"{maker.__module__}:{maker.__qualname__}",
    }
    note = folder / "data.json"
    if not note.is_file():
        write_json(note, made_with)
    elif json.loads(note.read_text()) != made_with:
        raise InputError(
            f"{note}: images made with other settings. Delete the folder, or give another --data."
        )


def _in_parallel(work: Callable, jobs: list[tuple], workers: int) -> Iterator:
    """The results of work(*job) as they come, in order; in this process where one worker is enough."""
    if workers <= 1 or len(jobs) <= 1:
        yield from (work(*job) for job in jobs)
        return
    with (
        one_thread_each(),
        ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool,
    ):
        yield from pool.map(_unpacked, [work] * len(jobs), jobs)


def _unpacked(work: Callable, job: tuple):
    torch.set_num_threads(1)
    return work(*job)


def _write_shard(
    seed: int, path: Path, *, bodies: dict[str, Path], maker: Maker, settings: RenderSettings
) -> None:
    rng = np.random.default_rng([seed, 31])
    gender, trousers = str(rng.choice(list(bodies))), bool(rng.random() > BARE_SHARE)
    body = _loaded(bodies[gender])
    person = maker(body, gender, seed, trousers)
    groups = [
        _group(person, body, gender, trousers, settings.size, rng) for _ in range(settings.poses)
    ]
    Shard.concatenate(groups).save(path)


_bodies: dict[Path, Body] = {}


def _loaded(path: Path) -> Body:
    """The body at `path`, read once a process."""
    if path not in _bodies:
        _bodies[path] = Body(path)
    return _bodies[path]


@torch.no_grad()
def _group(person: Person, body: Body, gender: str, trousers: bool, size: int, rng) -> Shard:
    """One pose under one imagined garment, seen from VIEWS_A_POSE cameras."""
    params = _pose(person.captured, rng)
    hidden = person.covered(rng)
    mesh = person.mesh(body, params, hidden)
    centres = part_centres(body.joints(params)[0].double().numpy())
    views = sample_views(CAMERAS, ZOOMS, centres, 0, VIEWS_A_POSE, size, rng)
    rendering = render_mesh(mesh, views.cameras, SUPERSAMPLE)
    skeletons = draw_skeletons(figure(body, params), *views.cameras.tensors(), size).numpy()
    tone = _visible_tone(person, mesh, hidden)
    return Shard(
        _bytes(rendering.rgb), _bytes(rendering.alpha), _hidden_pixels(rendering), _bytes(skeletons),
        _classes(views, gender, trousers),
        np.repeat(tone[None], len(views.words), axis=0),
    )  # fmt: skip


def _hidden_pixels(rendering: MeshRendering) -> np.ndarray:
    """(C, H, W) bool: where a marked face shows, or half a pixel is left beside one: its edge would give away the shape."""
    marked = rendering.labels > 0
    beside = maximum_filter(marked, (1, 3, 3))
    return (marked | (beside & (rendering.face_ids < 0))) & (rendering.alpha > 0)


def _pose(captured: BodyParams, rng: np.random.Generator) -> BodyParams:
    """One of guidance's poses or the natural one, standing where guidance looks."""
    names = list(POSE_SHARES)
    name = str(rng.choice(names, p=list(POSE_SHARES.values())))
    if name in (CANONICAL, ARMS_LOWERED):
        return guidance_poses(captured)[name]
    return captured.replaced(
        transl=torch.tensor([[0.0, RAISED, 0.0]]), global_orient=torch.zeros(1, 3)
    )


def _classes(views: GuidanceViews, gender: str, trousers: bool) -> np.ndarray:
    return np.array([word_class(PERSON[gender], word, trousers) for word in views.words], np.int64)


def _visible_tone(person: Person, mesh: Mesh, hidden: np.ndarray) -> np.ndarray:
    """(3,) mean colour by area of the skin that is not hidden."""
    skin = ((person.labels == Label.SKIN) & ~hidden)[mesh.faces].all(axis=1)
    area = np.linalg.norm(mesh.area_vectors(), axis=1) * skin
    colors = person.colors[mesh.faces].mean(axis=1)
    return ((colors * area[:, None]).sum(axis=0) / max(area.sum(), 1e-12)).astype(np.float32)


def _bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def load_shards(paths: Iterable[Path]) -> Shard:
    """All pictures in the shards."""
    return Shard.concatenate([Shard.load(path) for path in paths])
