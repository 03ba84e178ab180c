"""The light that a capture stage leaves on things: sky occlusion and a soft key light, per vertex, by Embree."""

from collections.abc import Sequence

import igl
import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.noise import smoothstep
from avatarpipe.synthetic.sheets import smoothing

_KEY = np.array([0.35, 0.55, 0.76]) / np.linalg.norm([0.35, 0.55, 0.76])
_KEY_COLOR, _SKY_COLOR = np.array([1.03, 1.0, 0.95]), np.array([0.97, 0.99, 1.03])
_CHUNK = 20000  # vertices whose rays are traced at a time


def light_layers(layers: Sequence[Layer], body: Layer, rays: int) -> None:
    """Set `shade` and `seen` of every layer.

    What is seen when everything is worn has the light of the whole; what is hidden has the light that falls on its layer
    over the bare body, so that a layer taken off leaves plausible skin; the two blend where little is seen.
    """
    whole = _scene(layers)
    for layer in layers:
        alone = _scene([body] if layer is body else [body, layer])
        normals = _outward(layer)
        smooth = smoothing(layer.faces, len(layer.vertices))
        sky, layer.seen = sky_share(whole, layer.vertices, normals, rays)
        share = smoothstep(sky, 0.02, 0.16)  # 0 for what only a few rays find, through a collar
        hidden = share < 1.0
        own_sky, _ = sky_share(alone, layer.vertices[hidden], normals[hidden], rays)
        sky[hidden] = share[hidden] * sky[hidden] + (1.0 - share[hidden]) * own_sky
        for _ in range(3):
            sky = smooth @ sky
        layer.shade = _shade(sky, normals)


def _outward(layer: Layer) -> np.ndarray:
    return np.nan_to_num(igl.per_vertex_normals(layer.vertices, layer.faces))


def _scene(layers: Sequence[Layer]) -> EmbreeScene:
    scene = EmbreeScene(robust=True)
    triangles = np.concatenate([layer.vertices[layer.faces] for layer in layers])
    TriangleMesh(scene, triangles.astype(np.float32))
    return scene


def sky_share(scene: EmbreeScene, vertices: np.ndarray, normals: np.ndarray, rays: int):
    """(V,) share of a sky, brighter above, that each vertex sees, and whether it sees any of it."""
    directions = _cosine_directions(rays)
    sky, seen = np.empty(len(vertices)), np.empty(len(vertices), bool)
    for start in range(0, len(vertices), _CHUNK):
        part = slice(start, start + _CHUNK)
        world = _turned(directions, normals[part], start)
        origins = np.repeat(vertices[part] + 6e-4 * normals[part], rays, axis=0)
        hits = scene.run(origins.astype(np.float32), world.reshape(-1, 3).astype(np.float32))
        free = (hits < 0).reshape(-1, rays)
        weight = 0.75 + 0.35 * world[..., 1]
        sky[part] = (free * weight).mean(axis=1)
        seen[part] = free.any(axis=1)
    return sky, seen


def _cosine_directions(count: int) -> np.ndarray:
    """(count, 3) directions about +z, denser near it (a Fibonacci spiral on the disc, lifted)."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), np.pi * (3.0 - np.sqrt(5.0)) * k
    return np.column_stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1.0 - radius**2)]
    )


def _turned(directions: np.ndarray, normals: np.ndarray, seed: int) -> np.ndarray:
    """(n, count, 3) the directions about each normal, spun at random so that errors are noise, not bands."""
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    a = np.cross(normals, helper)
    a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-9)
    b = np.cross(normals, a)
    spin = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(normals))[:, None]
    a, b = np.cos(spin) * a + np.sin(spin) * b, np.cos(spin) * b - np.sin(spin) * a
    return np.einsum("kc,ncd->nkd", directions, np.stack([a, b, normals], axis=1))


def _shade(sky: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(V, 3) factor on albedo."""
    open_sky = np.clip(sky / 0.78, 0.0, 1.15)
    ambient = 0.20 + 0.36 * open_sky
    key = 0.47 * smoothstep(normals @ _KEY, -0.65, 0.95) * smoothstep(open_sky, 0.05, 0.7)
    return ambient[:, None] * _SKY_COLOR + key[:, None] * _KEY_COLOR
