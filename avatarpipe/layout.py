"""What the workflow looks up of a subject: cells of its table, files it needs, where its captures lie."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from avatarpipe.datasets.choices import of_source
from avatarpipe.datasets.inputs import raw_inputs
from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.genders import PERSON
from avatarpipe.methods.animatable.settings import AnimatableSettings
from avatarpipe.score_files import score_files
from avatarpipe.weight_files import guidance_manifests

SCANNED = frozenset({"synthetic", "4d-dress", "thuman2.0", "thuman2.1"})  # the others are images
AVATARS = {"layered": "outer", "animatable": "full"}  # the last stage, or the variant, of each method
LABELLED = frozenset({"synthetic", "4d-dress"})  # scans that tell garments apart
SYNTHESIZED_BY = {"synthetic": "synthesize", "synthetic-video": "synthesize_video"}
GUIDED_STAGES = ("single", "inner", "outer")
SCORING_JOBS = ("draw_inner", "score")
MANY_THREADS = 64  # Snakemake grants as many as it has
SYNTHETIC_SOURCE = "synthetic/Inner/Take1"
TIMED_JOBS = (
    "convert", "normalize", "render", "align", "segment", "train_single", "extract_mesh-single", "train_inner",
    "train_outer", "extract_mesh-outer", "evaluate", "pictures",
)  # fmt: skip
TIMED_ANIMATABLE_JOBS = (
    "convert", "normalize", "render", "align", "weight_volume", "train_animatable-full", "train_animatable-skinned",
    "evaluate_animatable", "pictures_animatable",
)  # fmt: skip


def verbatim(value: object) -> Callable:
    """A param that a command is given as it is: in a text by itself Snakemake would take braces for wildcards."""
    return lambda wildcards: value


@dataclass(frozen=True)
class Layout:
    """A resolved configuration and its subject table, asked by subject name; InputError where a file is missing."""

    config: dict
    subjects: dict[str, dict[str, str]]  # rows by subject, cells by column

    def cell(self, subject: str, column: str) -> str:
        """The subject's value in a column of the subject table."""
        row = self.subjects.get(subject)
        if row is None:
            raise InputError(f"{subject}: no such subject in {self.config['subjects']}.")
        return row[column]

    def body_file(self, subject: str) -> str | Path:
        """The body model of the subject's gender: built here, or the user's licensed file."""
        name = f"SMPLX_{self.cell(subject, 'gender').upper()}.npz"
        if self.config["bodies"] == "free":
            return f"results/body/{name}"
        return require_file(
            Path(self.config["bodies"], name),
            "`bodies` in config.yaml names its folder; docs/licensed.md says how to get it.",
        )

    def other_bodies(self, subject: str) -> list[Path]:
        """The licensed body models of other genders, where they are; free bodies are only met by subjects made with them."""
        if self.config["bodies"] == "free":
            return []
        own = Path(self.body_file(subject))
        files = [own.with_name(f"SMPLX_{gender}.npz") for gender in ("NEUTRAL", "FEMALE", "MALE")]
        return [file for file in files if file != own and file.is_file()]

    def missing(self) -> list[str]:
        """What the configuration names and is not there, a message each. Snakemake plans around it where outputs exist."""
        lookups = [lambda stage=stage: self.guidance_weights(stage) for stage in GUIDED_STAGES]
        if self.config["segmentation"]["provider"] == "sapiens":
            lookups.append(self.sapiens_checkpoint)
        if self.config["scoring"]["enabled"]:
            lookups.append(self.score_weights)
        one_a_gender = {row["gender"]: subject for subject, row in self.subjects.items()}
        lookups += [lambda subject=subject: self.body_file(subject) for subject in one_a_gender.values()]
        found = {}
        for lookup in lookups:
            try:
                lookup()
            except InputError as error:
                found[str(error)] = None
        return list(found)

    def alignment_tolerance(self) -> str:
        """What the alignment check lets pass, as the JSON that its step takes."""
        return json.dumps(self.config["align"]["tolerance"], sort_keys=True)

    def made_by(self, subject: str) -> str | None:
        """The step that makes the subject, or None where it was captured."""
        return SYNTHESIZED_BY.get(self.cell(subject, "dataset"))

    def is_scanned(self, subject: str) -> bool:
        """Whether the subject is given as scans, to be rendered, and not as images."""
        return self.cell(subject, "dataset") in SCANNED

    def raw_root(self, subject: str) -> str:
        """The folder that holds the subject's dataset."""
        if step := self.made_by(subject):
            return f"results/{subject}/{step}"
        return self.config["datasets"][self.cell(subject, "dataset")]["root"]

    def raw_source(self, subject: str) -> str:
        """Which recording the subject is, below `raw_root`."""
        return SYNTHETIC_SOURCE if self.made_by(subject) else self.cell(subject, "source")

    def raw_files(self, subject: str) -> str | list[Path]:
        """The files a subject is read from; of a synthetic one its manifest, which is written last."""
        if step := self.made_by(subject):
            return f"results/{subject}/{step}/manifest.json"
        dataset, source, gender, frames = (
            self.cell(subject, column) for column in ("dataset", "source", "gender", "frames")
        )
        labels = dataset in LABELLED and self.config["segmentation"]["provider"] == "scan_labels"
        section = self.config["datasets"][dataset]
        try:
            return raw_inputs(dataset, source, gender, frames, section, labels)
        except InputError as error:
            raise InputError(f"{error} Subject {subject!r} of {self.config['subjects']} needs it.") from None

    def dataset_options(self, subject: str) -> str:
        """How the subject's recording is read, as the JSON that the convert step takes; what others need is left out."""
        section = self.config["datasets"].get(self.cell(subject, "dataset"), {})
        source = self.cell(subject, "source")
        options = {name: of_source(section, name, source, None) for name in section if name != "root"}
        return json.dumps(options, sort_keys=True)

    def convert_threads(self, subject: str) -> int:
        """Images are read on all cores there are; a scan by one."""
        return 1 if self.is_scanned(subject) else MANY_THREADS

    def render_minutes(self, subject: str) -> int:
        """What a scheduler grants for rendering: an hour for one scan, a day for many."""
        return 60 if self.cell(subject, "frames").isdigit() else 24 * 60

    def image_capture(self, subject: str) -> str:
        """The first capture of the subject that has images: rendered from its scans, or the normalised photographs."""
        step = "render" if self.is_scanned(subject) else "normalize"
        return f"results/{subject}/{step}/capture.json"

    def labelled_capture(self, subject: str) -> str:
        """Where label maps are copied from: InputError where the subject's dataset has none."""
        if self.cell(subject, "dataset") not in LABELLED:
            raise InputError(
                f"{subject}: {self.cell(subject, 'dataset')} has no labels to train layers by. Set "
                "`segmentation.provider` in config.yaml to sapiens (docs/licensed.md says how to get its "
                "checkpoint), or write `none` as the subject's methods."
            )
        return self.image_capture(subject)

    def sapiens_checkpoint(self) -> Path:
        """The segmentation network that the configuration names."""
        return require_file(
            self.config["segmentation"]["checkpoint"],
            "`segmentation.checkpoint` in config.yaml names it; docs/licensed.md says how to get it.",
        )

    def stage_settings(self, stage: str) -> str:
        """The numbers of one training stage, as the JSON that the step reads."""
        layered = self.config["layered"]
        guided = {"guidance": layered["guidance"]} if self.is_guided(stage) else {}
        return json.dumps(layered[stage] | guided, sort_keys=True)

    def is_guided(self, stage: str) -> bool:
        """Whether a diffusion model has a say in a training stage: one is named, and its word weighs something."""
        layered = self.config["layered"]
        return bool(layered["guidance"]["model"]) and layered[stage].get("guidance_weight", 0) > 0

    def guidance_weights(self, stage: str) -> list[Path]:
        """The files that stand for the weights of the diffusion model that guides a stage; none where none does."""
        if not self.is_guided(stage):
            return []
        return list(guidance_manifests(self.config["layered"]["guidance"]).values())

    def score_weights(self) -> list[Path]:
        """The files of the networks that score the inner layer."""
        scoring = self.config["scoring"]
        return score_files(scoring["image_reward"], scoring["clip"])

    def score_prompt(self, subject: str) -> str:
        """What renders of the subject's inner layer ought to show."""
        return self.config["scoring"]["prompt"].replace("{person}", PERSON[self.cell(subject, "gender")])

    def metrics(self) -> list[str]:
        """The tables of metrics of all subjects."""
        steps = ("evaluate", *(("score",) if self.config["scoring"]["enabled"] else ()))
        return [
            *(f"results/{subject}/layered/{step}/metrics.parquet" for step in steps for subject in self.layered()),
            *(f"results/{subject}/animatable/evaluate/metrics.parquet" for subject in self.animatable()),
        ]

    def free_genders(self) -> Sequence[str]:
        """The genders of which the free body is built, as its files are called."""
        genders = dict.fromkeys(row["gender"].upper() for row in self.subjects.values())
        return list(genders) if self.config["bodies"] == "free" else []

    def made_here(self) -> list[str]:
        """{subject}/{step} of the subjects that are made here."""
        return [f"{subject}/{step}" for subject in self.subjects if (step := self.made_by(subject))]

    def synthetic_seeds(self) -> list[str]:
        """The seeds of the subjects that are made here: a prior that is tried on them must not have met them."""
        return sorted({self.cell(subject, "source") for subject in self.subjects if self.made_by(subject)})

    def layered(self) -> list[str]:
        """The subjects that the layered method trains on."""
        return self._of_method("layered")

    def animatable(self) -> list[str]:
        """The subjects that the animatable method trains on."""
        return self._of_method("animatable")

    def _of_method(self, method: str) -> list[str]:
        return [subject for subject, row in self.subjects.items() if row["methods"] == method]

    def avatar(self, wildcards) -> str:
        """The avatar that a method leaves of a subject; of the wildcards subject and method."""
        stage = AVATARS[wildcards.method]
        return f"results/{wildcards.subject}/{wildcards.method}/{stage}/avatar/avatar.json"

    def driven(self) -> list[str]:
        """What is left of every motion that avatars follow."""
        drive, subjects = self.config["drive"], {"layered": self.layered(), "animatable": self.animatable()}
        return [
            f"results/{subject}/{method}/drive/{motion}/drive.json"
            for method in drive["methods"] for subject in subjects[method] for motion in drive["motions"]
        ]  # fmt: skip

    def drive_switches(self) -> str:
        """What is switched on or off of driving, as flags of its step."""
        drive = self.config["drive"]
        return " ".join(f"--{name}" if drive[name] else f"--no-{name}" for name in ("floor", "repair", "ply"))

    def animatable_settings(self) -> str:
        """What an animatable avatar is trained with, as the JSON that the step reads."""
        section = self.config["animatable"]
        known = {item.name for item in fields(AnimatableSettings)} & set(section)
        return json.dumps({name: section[name] for name in known}, sort_keys=True)

    def template_kind(self) -> str:
        """What animatable avatars start on, as their training calls it: body, layered or given."""
        template = self.config["animatable"]["template"]
        return template if template in ("body", "layered") else "given"

    def skinned_avatar(self, subject: str) -> list[str]:
        """The baseline that an animatable avatar is measured beside; none where the configuration leaves it out."""
        if not self.config["animatable"]["evaluate"]["baseline"]:
            return []
        return [f"results/{subject}/animatable/skinned/avatar/avatar.json"]

    def metric_weights(self) -> list[str]:
        """The weights of LPIPS and FID that the user has placed; without them these metrics are left out."""
        return sorted(map(str, [*Path("resources/lpips").glob("*.pth"), *Path("resources/fid").glob("*.pth")]))

    def template_files(self, subject: str) -> list[str | Path]:
        """The mesh that the subject's animatable avatar starts on; none where that is the body."""
        kind = self.template_kind()
        if kind == "given":
            path = self.config["animatable"]["template"].replace("{subject}", subject)
            return [require_file(path, "`animatable.template` in config.yaml names it; docs/animatable.md says what it is.")]
        return [f"results/{subject}/layered/single/mesh/mesh.json"] if kind == "layered" else []

    def timed_jobs(self) -> list[str]:
        """{subject}/{job} of the jobs on every subject's way to its metrics and pictures."""
        layered = (*TIMED_JOBS, *(SCORING_JOBS if self.config["scoring"]["enabled"] else ()))
        ways = ((self.layered(), layered), (self.animatable(), TIMED_ANIMATABLE_JOBS))
        return [
            f"{subject}/{job}"
            for subjects, jobs in ways
            for subject in subjects
            for job in jobs
            if job != "render" or self.is_scanned(subject)
        ]

    def benchmarks(self) -> list[str]:
        """What Snakemake measures of those jobs, and of the making of bodies and subjects."""
        bodies = [f"body/{gender}" for gender in self.free_genders()]
        jobs = [*bodies, *self.made_here(), *self.timed_jobs()]
        return [f"results/benchmarks/{job}.tsv" for job in jobs]

    def untrained_captures(self) -> list[str]:
        """The captures of subjects that no method trains on."""
        return [self.image_capture(subject) for subject in self._of_method("none")]
