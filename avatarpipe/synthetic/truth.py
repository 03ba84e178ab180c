"""What no real dataset has: each layer whole and apart, textured, in the same world as the scan."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from avatarpipe.mesh.mesh import Mesh, save_mesh
from avatarpipe.synthetic.bake import Part, baked
from avatarpipe.synthetic.person import Detail, Person

NAMES = {"body": "body", "hair": "hair", "shoes": "shoe", "upper": "upper", "lower": "lower"}


def layer_mesh(person: Person, name: str, detail: Detail) -> Mesh:
    """A layer as one textured mesh in the world frame, labels on its vertices."""
    layer = person.layers[name]
    size = detail.texture if name == "body" else detail.texture // 2
    mesh, _ = baked([Part(layer, layer.faces)], size, detail.supersample)
    return mesh.transformed(person.to_world)


def write_truth(folder: Path, person: Person, detail: Detail) -> dict[str, str]:
    """Write layer_*.ply with their textures and the body's parameters; returns name -> file name."""
    files = {}
    for name, written in NAMES.items():
        files[f"layer_{written}"] = f"layer_{written}.ply"
        save_mesh(layer_mesh(person, name, detail), folder / files[f"layer_{written}"])
    files["body_poses"] = "body_poses.npz"
    person.params.save(folder / files["body_poses"])
    return files


def described(person: Person) -> dict:
    """Traits, layers and labels as JSON."""
    traits = {key: _plain(value) for key, value in asdict(person.traits).items()}
    layers = {
        NAMES[name]: {
            "kind": layer.kind,
            "label": layer.label.name.lower(),
            "label_value": int(layer.label),
        }
        for name, layer in person.layers.items()
    }
    return {"traits": traits, "layers": layers, "figure_to_world": person.to_world.tolist()}


def _plain(value):
    if isinstance(value, np.ndarray):
        return [round(float(x), 6) for x in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
