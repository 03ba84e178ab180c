"""Options and ground truth for the fake subject's way through the steps."""

from pathlib import Path

import fake_subject

from avatarpipe.files import write_json
from avatarpipe.mesh.mesh import Mesh, save_mesh
from avatarpipe.steps import convert


def convert_options(paths, **changes) -> convert.Convert:
    options = {
        "root": paths.raw, "dataset": "4d-dress", "source": "00001/Inner/Take1", "frames": "11", "subject": "ann",
        "gender": "neutral", "body": paths.body, "out": getattr(paths, "converted", None),
    }  # fmt: skip
    return convert.Convert(**(options | changes))


def write_truth(root: Path, body) -> None:
    """manifest.json with a naked body and an upper garment 3 cm off it, its poses, and a file of no known kind."""
    poses = fake_subject.decoded(fake_subject.raw_fit(), body)
    naked = Mesh(body.vertices(poses)[0].double().numpy(), body.faces)
    naked.vertex_colors = naked.vertices.astype("f4") * 0 + [0.8, 0.6, 0.5]
    shirt = Mesh(naked.vertices + 0.003 * naked.vertex_normals(), naked.faces)
    shirt.vertex_colors = shirt.vertices.astype("f4") * 0 + [0.7, 0.1, 0.1]
    upper = (fake_subject.dressed_labels(body) == 3)[shirt.faces].all(axis=1)
    save_mesh(naked, root / "truth" / "body.ply")
    save_mesh(shirt.submesh(upper), root / "truth" / "shirt.ply")
    poses.save(root / "truth" / "fit.npz")
    (root / "truth" / "notes.txt").write_text("seed 7")
    truth = {
        "layer_body": "truth/body.ply", "layer_upper": "truth/shirt.ply",
        "poses": "truth/fit.npz", "notes": "truth/notes.txt",
    }  # fmt: skip
    write_json(root / "manifest.json", {"truth": truth})
