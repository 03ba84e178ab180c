"""Where the pretrained weights of guidance lie: a folder or the hub's local cache. What is missing is named, never fetched.

Imports no torch: the workflow asks here too, before any job runs.
"""

from collections.abc import Mapping
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import require_file

HUB_IDS = {
    "model": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "controlnet": "lllyasviel/sd-controlnet-openpose",
    "vae": "madebyollin/taesd",
}
MANIFESTS = {"model": "model_index.json", "controlnet": "config.json", "vae": "config.json"}
PRIOR_MANIFEST = "prior.json"  # of a prior of our own, which brings all it needs
MADE_HERE = "results/"


def guidance_manifests(guidance: Mapping) -> dict[str, Path]:
    """By role, the file that stands for the weights that `layered.guidance` names; InputError where one is missing.

    A prior of our own below results/ need not be there yet: the workflow makes it.
    """
    prior = Path(guidance["model"], PRIOR_MANIFEST)
    if guidance["model"].startswith(MADE_HERE) or prior.is_file():
        return {"model": prior}
    roles = ("model", "controlnet", *(("vae",) if guidance["vae"] else ()))
    return {role: _manifest(guidance[role], role) for role in roles}


def _manifest(where: str, role: str) -> Path:
    return require_file(weights_folder(where, role) / MANIFESTS[role], how_to_get(where, role))


def weights_folder(where: str, role: str) -> Path:
    """The folder `where`, or where the hub's cache keeps the repository of that id; InputError where neither is."""
    if not where:
        raise InputError(f"layered.guidance.{role} is empty, but guidance needs it. {how_to_get('', role)}")
    folder = Path(where) if Path(where).is_dir() else _cached(where)
    if folder is None:
        raise InputError(
            f"{where}: no such folder, nor a repository in the local Hugging Face cache; "
            f"layered.guidance.{role} names it. {how_to_get(where, role)}"
        )
    return folder


def _cached(hub_id: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def how_to_get(where: str, role: str) -> str:
    """The command that fetches what `role` usually is, into `where` if that looks like a folder."""
    is_folder = where.startswith((".", "/", "resources/"))
    folder = where if is_folder else f"resources/diffusion/{HUB_IDS[role].split('/')[1]}"
    return (
        f"Fetch it once, under its licence: `hf download {HUB_IDS[role]} --local-dir {folder}` (`huggingface-cli "
        f"download` in older releases), and set layered.guidance.{role} to that folder; docs/guidance.md says more. "
        "Nothing is downloaded by itself."
    )
