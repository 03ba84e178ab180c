"""Training checkpoints: tensors in safetensors, the rest in JSON, whole or absent, the one before kept until then."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_folder, file_sha256, read_json, write_json
from avatarpipe.locks import claimed, refuse_company

log = logging.getLogger(__name__)

_LOCK, _DOING = ".lock", "training"
_DAMAGED = (InputError, SafetensorError, KeyError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError)


class Checkpoints:
    """The two newest checkpoints of one training, in `folder`.

    identity: whatever the training depends on (settings, hashes of inputs, code version), as JSON values. A checkpoint
    of another identity is never resumed. From the first `save` on the folder belongs to this process: another one,
    such as what a killed run left behind, is met with an InputError.
    """

    def __init__(self, folder: str | Path, identity: dict):
        self.folder = Path(folder)
        text = json.dumps(identity, sort_keys=True, default=str)
        self.identity = hashlib.sha256(text.encode()).hexdigest()
        self._claim = None
        self._good: list[Path] = []

    def save(self, step: int, tensors: dict[str, torch.Tensor]) -> None:
        """Write the state after `step` iterations, then forget all but it and the one before: also those of other trainings."""
        if self._claim is None:
            self._claim = claimed(self.folder / _LOCK, _DOING)
            self._drop_drafts()
        folder = self.folder / f"{step:08d}"
        with atomic_folder(folder) as temporary:
            flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
            save_file(flat, temporary / "state.safetensors")
            digest = file_sha256(temporary / "state.safetensors")
            write_json(
                temporary / "checkpoint.json",
                {"step": step, "identity": self.identity, "sha256": digest},
            )
        self._good = [*(good for good in self._good if good != folder), folder][-2:]
        for old in set(self._saved()) - set(self._good):
            shutil.rmtree(old)

    def newest(self, device="cpu") -> tuple[int, dict[str, torch.Tensor]] | None:
        """(step, tensors) of the newest whole checkpoint of this identity, or None. A damaged one is passed over, and said to be.

        OSError where a disk does not answer: what cannot be read now is not damaged, and must not be forgotten.
        """
        if self._claim is None:
            refuse_company(self.folder / _LOCK, _DOING)
        for folder in reversed(self._saved()):
            try:
                found = self._read(folder, device)
            except _DAMAGED as error:
                log.warning("%s: damaged, passed over (%s)", folder, error)
                continue
            if found is not None:
                self._good = [folder]
                return found
        return None

    def _read(self, folder: Path, device) -> tuple[int, dict[str, torch.Tensor]] | None:
        """Step and tensors; None of another training. Raises InputError and others where a file is damaged."""
        manifest = read_json(folder / "checkpoint.json")
        state = folder / "state.safetensors"
        if manifest["identity"] != self.identity:
            return None
        if manifest["sha256"] != file_sha256(state) or manifest["step"] != int(folder.name):
            raise InputError("its bytes are not those that were written")
        return manifest["step"], load_file(state, device=str(device))

    def _drop_drafts(self) -> None:
        """Remove what a killed process had begun to write."""
        for draft in self.folder.glob(".[0-9]*"):
            shutil.rmtree(draft, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("[0-9]*") if path.name.isdigit() and path.is_dir())

    def clear(self) -> None:
        """Delete all checkpoints: the training has ended and its result is written."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        shutil.rmtree(self.folder, ignore_errors=True)
