"""How well an avatar's mesh matches the scan."""

from collections.abc import Iterator

from avatarpipe.evaluation.rows import score_rows
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.metrics import compare

SAMPLES = 50_000
THRESHOLDS_MM = (5, 10)


def surface_rows(mesh: Mesh, scan: Mesh, seed: int, **where) -> Iterator[dict]:
    """Rows of Chamfer distance (m), F-scores and normal consistency, as mesh/metrics.py defines them; seeded samples."""
    found = compare(mesh, scan, SAMPLES, seed)
    scores = {"chamfer": (found.chamfer, "m"), "normal_consistency": (found.normal_consistency, "")}
    scores |= {f"f_score_{mm}mm": (found.f_score(mm / 1000), "") for mm in THRESHOLDS_MM}
    yield from score_rows(scores, **where)
