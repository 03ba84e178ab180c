"""Training checkpoints: tensors in safetensors, the rest in JSON, whole or absent, the one before kept until then."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_folder, file_sha256, read_json, write_json


class Checkpoints:
    """The two newest checkpoints of one training, in `folder`.

    identity: whatever the training depends on (settings, hashes of inputs, code version), as JSON values. A checkpoint
    of another identity is never resumed.
    """

    def __init__(self, folder: str | Path, identity: dict):
        self.folder = Path(folder)
        text = json.dumps(identity, sort_keys=True, default=str)
        self.identity = hashlib.sha256(text.encode()).hexdigest()

    def save(self, step: int, tensors: dict[str, torch.Tensor]) -> None:
        """Write the state after `step` iterations, then forget all but it and the one before."""
        with atomic_folder(self.folder / f"{step:08d}") as temporary:
            flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
            save_file(flat, temporary / "state.safetensors")
            digest = file_sha256(temporary / "state.safetensors")
            write_json(
                temporary / "checkpoint.json",
                {"step": step, "identity": self.identity, "sha256": digest},
            )
        for old in self._saved()[:-2]:
            shutil.rmtree(old)

    def newest(self, device="cpu") -> tuple[int, dict[str, torch.Tensor]] | None:
        """(step, tensors) of the newest whole checkpoint of this identity, or None. A damaged one is passed over."""
        for folder in reversed(self._saved()):
            try:
                return self._read(folder, device)
            except (InputError, SafetensorError, KeyError, OSError):
                continue
        return None

    def _read(self, folder: Path, device) -> tuple[int, dict[str, torch.Tensor]]:
        manifest = read_json(folder / "checkpoint.json")
        state = folder / "state.safetensors"
        if manifest["identity"] != self.identity or manifest["sha256"] != file_sha256(state):
            raise InputError(f"{folder}: not a checkpoint of this training")
        return int(manifest["step"]), load_file(state, device=str(device))

    def _saved(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("[0-9]*") if path.is_dir())

    def clear(self) -> None:
        """Delete all checkpoints: the training has ended and its result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
