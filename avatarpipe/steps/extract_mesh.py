"""Turn an avatar into meshes: its whole surface, canonical and posed, and the garment cut out of it."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import publishing
from avatarpipe.devices import chosen_device
from avatarpipe.export.surface import fused_surface, posed_mesh, surface_views
from avatarpipe.files import write_json
from avatarpipe.mesh.cleanup import watertight_report
from avatarpipe.mesh.mesh import save_mesh
from avatarpipe.methods.layered.garment_mesh import (
    garment_part,
    garment_scores_from_labels,
    garment_scores_from_layers,
)
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step

log = logging.getLogger(__name__)


@dataclass
class ExtractMesh:
    """composite.ply, composite_posed.ply, garment.ply, garment.glb and mesh.json of an avatar."""

    avatar: Path
    """The avatar.json."""
    capture: Path
    """The segmented capture.json; its label maps vote where the avatar has no layers."""
    out: Path
    """The manifest of the meshes, such as results/SUBJECT/layered/single/mesh/mesh.json."""
    garment: Literal["upper", "lower", "both"] = "upper"
    """What counts as garment."""
    voxel: float = 0.006
    """Grid spacing in metres."""
    size: int = 512
    """Pixels of the depth maps."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(options: ExtractMesh) -> None:
    """Render depths from all around, fuse, vote, write; the watertight report goes to the log and the manifest."""
    avatar = Avatar.load(options.avatar, chosen_device(options.device))
    capture = Capture.load(options.capture)
    views = surface_views(avatar.canonical(), options.size)
    surface = fused_surface(views, options.voxel)
    posed = posed_mesh(surface, avatar.body, avatar.captured)
    if "outer" in avatar.layer_names:
        scores = garment_scores_from_layers(surface, views, avatar.layer_names.index("outer"))
    else:
        scores = garment_scores_from_labels(posed, capture, options.garment)
    garment = garment_part(surface, scores)
    meshes = {"composite": surface, "composite_posed": posed, "garment": garment}
    reports = {name: watertight_report(mesh) for name, mesh in meshes.items()}
    for name, report in reports.items():
        log.info("%s: %s", name, _in_words(report))
    inputs = {"avatar": options.avatar, "capture": options.capture}
    with publishing(options.out) as draft:
        for name, mesh in meshes.items():
            save_mesh(mesh, draft / f"{name}.ply")
        save_mesh(garment, draft / "garment.glb")
        manifest = {"meshes": reports, "provenance": provenance(inputs, asdict(options))}
        write_json(draft / options.out.name, manifest)


def _in_words(report: dict) -> str:
    """A watertight report as one line."""
    pieces = "1 piece" if report["components"] == 1 else f"{report['components']} pieces"
    if report["is_watertight"]:
        closed = f"closed, {1000 * report['volume']:.1f} l"
    else:
        closed = f"open at {report['boundary_edges']} edges"
        if report["nonmanifold_edges"]:
            closed += f", {report['nonmanifold_edges']} edges with three faces or more"
    return f"{report['vertices']} vertices, {report['faces']} faces, {pieces}, {closed}"


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
