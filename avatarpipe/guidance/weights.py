"""Pretrained parts of diffusers and transformers, loaded from what lies on this machine and as safetensors only."""

from typing import Any

from safetensors import SafetensorError

from avatarpipe.errors import InputError
from avatarpipe.files import read_json
from avatarpipe.weight_files import how_to_get, weights_folder


def load_network(cls: type, where: str, role: str, subfolder: str = "", **options) -> Any:
    """A network of `cls` as load_part gives it; InputError too where weights are missing, which would stay random."""
    options |= {"use_safetensors": True, "output_loading_info": True}
    network, found = load_part(cls, where, role, subfolder, **options)
    if missing := sorted(found["missing_keys"]):
        raise InputError(
            f"{weights_folder(where, role) / subfolder}: lacks {len(missing)} weights of a {cls.__name__}, {missing[0]} "
            f"among them. {how_to_get(where, role)}"
        )
    return network


def load_part(cls: type, where: str, role: str, subfolder: str = "", **options) -> Any:
    """An object of `cls` by its from_pretrained, from a folder or cached hub id; InputError where there is none.

    role: "model", "controlnet" or "vae". options: those of from_pretrained.
    """
    folder = weights_folder(where, role) / subfolder
    try:
        return cls.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{folder}: no {cls.__name__} could be loaded from here ({reason}). {how_to_get(where, role)}"
        ) from error


def class_name(where: str, role: str) -> str:
    """Which class of diffusers the weights at `where` were saved from."""
    return str(read_json(weights_folder(where, role) / "config.json").get("_class_name", ""))
