"""What the workflow looks up of a subject: cells of its table, files it needs, where its captures lie."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from avatarpipe.errors import InputError
from avatarpipe.files import require_file

SCAN_DATASETS = ("synthetic", "4d-dress")
SYNTHESIZED = ("synthetic",)
SYNTHETIC_SOURCE = "synthetic/Inner/Take1"
LABELLED_SCANS = ("synthetic", "4d-dress")
TIMED_JOBS = (
    "convert", "normalize", "render", "segment", "train_single", "extract_mesh-single", "train_inner",
    "train_outer", "extract_mesh-outer", "evaluate", "pictures",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """A resolved configuration and its subject table, asked by subject name; InputError where a file is missing."""

    config: dict
    subjects: pd.DataFrame

    def cell(self, subject: str, column: str) -> str:
        """The subject's value in a column of the subject table."""
        if subject not in self.subjects.index:
            raise InputError(f"{subject}: no such subject in {self.config['subjects']}.")
        return self.subjects.at[subject, column]

    def body_file(self, subject: str) -> str | Path:
        """The body model of the subject's gender: built here, or the user's licensed file."""
        name = f"SMPLX_{self.cell(subject, 'gender').upper()}.npz"
        if self.config["bodies"] == "free":
            return f"results/body/{name}"
        return require_file(
            Path(self.config["bodies"], name),
            "`bodies` in config.yaml names its folder; resources/README.md says how to get it.",
        )

    def is_synthesized(self, subject: str) -> bool:
        """Whether the subject is made here and not captured."""
        return self.cell(subject, "dataset") in SYNTHESIZED

    def is_scanned(self, subject: str) -> bool:
        """Whether the subject is given as scans, to be rendered, and not as images."""
        return self.cell(subject, "dataset") in SCAN_DATASETS

    def raw_root(self, subject: str) -> str:
        """The folder that holds the subject's dataset."""
        if self.is_synthesized(subject):
            return f"results/{subject}/synthesize"
        return self.config["datasets"][self.cell(subject, "dataset")]

    def raw_source(self, subject: str) -> str:
        """Which recording the subject is, below `raw_root`."""
        return SYNTHETIC_SOURCE if self.is_synthesized(subject) else self.cell(subject, "source")

    def image_capture(self, subject: str) -> str:
        """The first capture of the subject that has images: rendered from its scans, or the normalised photographs."""
        step = "render" if self.is_scanned(subject) else "normalize"
        return f"results/{subject}/{step}/capture.json"

    def sapiens_checkpoint(self) -> Path:
        """The segmentation network that the configuration names."""
        return require_file(
            self.config["segmentation"]["checkpoint"],
            "`segmentation.checkpoint` in config.yaml names it; resources/README.md says how to get it.",
        )

    def stage_settings(self, stage: str) -> str:
        """The numbers of one training stage, as the JSON that the step reads."""
        return json.dumps(self.config["layered"][stage], sort_keys=True)

    def free_genders(self) -> Sequence[str]:
        """The genders of which the free body is built, as its files are called."""
        return self.subjects["gender"].str.upper().unique() if self.config["bodies"] == "free" else []

    def synthesized(self) -> Sequence[str]:
        """The subjects that are made here."""
        return self.subjects.index[self.subjects["dataset"].isin(SYNTHESIZED)]
