"""How fast meshes are rendered and depth maps fused here.

$ python benchmarks/mesh_rendering.py --output /tmp/mesh_rendering.json

Prints a table and writes the same figures as JSON. The default is the layered method's own load: 72 views of 1024 x 1024
of a textured mesh of 80,000 vertices, and 72 depth maps of 256 x 256 fused at 5 mm. Wall seconds after one warm-up view,
and processor seconds beside them, which tell a busy machine from slow code.
"""

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import trimesh
import tyro
from rich.console import Console
from rich.table import Table

from avatarpipe.cameras import orbit
from avatarpipe.errors import InputError
from avatarpipe.files import write_json
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import BACKENDS, MeshRendering, render_mesh, render_views
from avatarpipe.mesh.tsdf import fuse_depth


@dataclass
class Options:
    """What to measure."""

    output: Path = Path("results/benchmarks/mesh_rendering.json")
    """Where the JSON goes."""
    size: int = 1024
    """Width and height of the rendered images, pixels."""
    azimuths: int = 18
    """Views a ring; there are four rings."""


@dataclass
class Figure:
    """One measurement."""

    what: str
    seconds: float
    processor_seconds: float
    views: int


def textured_figure() -> Mesh:
    """A person-sized ellipsoid of 80,000 vertices with a 2048 x 2048 checkerboard."""
    sphere = trimesh.creation.uv_sphere(radius=1.0, count=[142, 283])
    vertices = sphere.vertices[:, [1, 2, 0]]
    longitude = np.arctan2(vertices[:, 0], vertices[:, 2]) / (2 * np.pi) + 0.5
    latitude = np.arcsin(np.clip(vertices[:, 1], -1, 1)) / np.pi + 0.5
    uvs = np.stack([longitude, latitude], axis=-1)[sphere.faces]
    wraps = np.ptp(uvs[..., 0], axis=1, keepdims=True) > 0.5
    uvs[..., 0] += wraps & (uvs[..., 0] < 0.5)
    row, column = np.mgrid[:2048, :2048] // 64
    texture = np.where(((row + column) % 2)[..., None], [230, 200, 60], [40, 60, 160])
    return Mesh(vertices * [0.35, 0.9, 0.25], sphere.faces, uvs, texture)


def timed(what: str, views: int, job) -> Figure:
    """Run `job` once."""
    wall, processor = time.perf_counter(), time.process_time()
    job()
    seconds = time.perf_counter() - wall
    return Figure(what, round(seconds, 2), round(time.process_time() - processor, 2), views)


def rendering_figures(mesh: Mesh, cameras, console: Console) -> list[Figure]:
    """Every installed backend, without and with supersampling."""
    figures = []
    for backend in BACKENDS:
        try:
            render_mesh(mesh, cameras[0], backend=backend)
        except InputError as error:
            console.print(f"{backend}: skipped. {error}")
            continue
        for factor in (1, 2):
            what = f"{backend}, {cameras.width} x {cameras.height}, {factor * factor} rays a pixel"
            views = render_views(mesh, cameras, factor, backend)
            figures.append(timed(what, len(cameras), lambda views=views: sum(1 for _ in views)))
    return figures


def fusion_figure(mesh: Mesh, azimuths: int) -> Figure:
    """Fuse depth maps of 256 x 256 at 5 mm."""
    cameras = orbit([30, 10, -10, -30], np.linspace(0, 360, azimuths, False), 2.0, 60, 256, 256)
    image = render_mesh(mesh, cameras)

    def fuse(image: MeshRendering = image, voxel: float = 0.005):
        return fuse_depth(image.depth, image.rgb, image.alpha, cameras, voxel, 4 * voxel)

    fuse(voxel=0.03)  # compiles the kernels
    return timed("depth fusion, 256 x 256, 5 mm voxels", len(cameras), fuse)


def main(options: Options) -> None:
    """Measure, print, write."""
    console, mesh = Console(), textured_figure()
    azimuths = np.linspace(0, 360, options.azimuths, False)
    cameras = orbit([30, 10, -10, -30], azimuths, 2.0, 60, options.size, options.size)
    figures = rendering_figures(mesh, cameras, console)
    figures.append(fusion_figure(mesh, options.azimuths))
    rng = np.random.default_rng(0)
    points = rng.choice(mesh.vertices, 100_000) + rng.normal(scale=0.02, size=(100_000, 3))
    args = (points, mesh.vertices, mesh.faces)
    figures.append(timed("closest points of 100,000 within 5 cm", 0, lambda: closest_points(*args)))
    table = Table("what", "views", "seconds", "processor seconds")
    for figure in figures:
        row = (figure.what, figure.views or "", figure.seconds, figure.processor_seconds)
        table.add_row(*(str(cell) for cell in row))
    console.print(table)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    size = {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}
    document = {"machine": machine, "mesh": size, "figures": [asdict(f) for f in figures]}
    write_json(options.output, document)
    console.print(f"wrote {options.output}")


if __name__ == "__main__":
    main(tyro.cli(Options))
