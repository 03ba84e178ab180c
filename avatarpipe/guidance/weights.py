"""Pretrained parts from a folder or the hub's local cache, without a download; what is missing is named."""

from pathlib import Path
from typing import Any

from avatarpipe.errors import InputError
from avatarpipe.files import read_json

HUB_IDS = {
    "model": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "controlnet": "lllyasviel/sd-controlnet-openpose",
    "vae": "madebyollin/taesd",
}


def load_part(cls: type, where: str, role: str, subfolder: str = "", **options) -> Any:
    """An object of `cls` by its from_pretrained, from `subfolder` of a folder or hub id; InputError where it is missing."""
    require_weights(where, role)
    place = f"{where}/{subfolder}" if subfolder else where
    try:
        return cls.from_pretrained(where, subfolder=subfolder, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{place}: no {cls.__name__} could be loaded from here ({reason}). {how_to_get(where, role)}"
        ) from error


def require_weights(where: str, role: str) -> None:
    """InputError unless `where` is a folder or a repository in the hub's local cache."""
    if not where:
        raise InputError(f"layered.guidance.{role} is empty, but guidance needs it. {how_to_get('', role)}")
    if Path(where).is_dir() or cached_folder(where) is not None:
        return
    raise InputError(
        f"{where}: no such folder, nor a repository in the local Hugging Face cache; layered.guidance.{role} names it. "
        + how_to_get(where, role)
    )


def cached_folder(hub_id: str) -> Path | None:
    """Where the hub's local cache keeps a repository; None where it does not, or `hub_id` is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def how_to_get(where: str, role: str) -> str:
    """A sentence with the command that fetches what `role` usually is."""
    folder = where if where.startswith((".", "/", "resources")) else f"resources/diffusion/{role}"
    return (
        f"Fetch it once with `hf download {HUB_IDS[role]} --local-dir {folder}` (`huggingface-cli download` in older "
        f"releases), under its licence, and set layered.guidance.{role} to that folder; docs/guidance.md says more. "
        "Nothing is downloaded here."
    )


def class_name(where: str) -> str:
    """Which class of diffusers the weights at `where` were saved from."""
    folder = where if Path(where).is_dir() else cached_folder(where)
    return str(read_json(Path(folder) / "config.json").get("_class_name", ""))
