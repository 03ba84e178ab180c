"""What the rules stand on: the configuration, the subject table, input functions, and the shell of every job."""

import json
import os
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.schemas import read_yaml
from avatarpipe.sources import sources
from avatarpipe.subjects import read_subjects

WORKFLOW = Path(workflow.basedir) / "workflow"
TIMED_JOBS = [
    "convert",
    "normalize",
    "render",
    "segment",
    "train_single",
    "extract_mesh-single",
    "train_inner",
    "train_outer",
    "extract_mesh-outer",
    "evaluate",
    "pictures",
]
SYNTHETIC_SOURCE, SYNTHETIC_FRAME = "synthetic/Inner/Take1", "00000"

try:
    config.update(
        resolve_config(
            config,
            presets=WORKFLOW.parent / "config/presets",
            schema=read_yaml(WORKFLOW / "schemas/config.schema.yaml"),
        )
    )
    subjects = read_subjects(
        config["subjects"], read_yaml(WORKFLOW / "schemas/subjects.schema.yaml")
    )
except InputError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    subject=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    gender="NEUTRAL|MALE|FEMALE",
    stage="single|inner|outer",


# Jobs run the Python that runs Snakemake, unless a conda environment puts its own in front; they find the
# package without installing it, and compute on the threads that their rule asks for.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
shell.prefix(
    "set -euo pipefail; "
    f"export PYTHONPATH={quote(str(workflow.basedir))} NUMBA_NUM_THREADS=$OMP_NUM_THREADS; "
    f"source {quote(str(WORKFLOW / 'gpu.sh'))}; "
)


def cell(wildcards, column):
    """The subject's value in a column of the subject table."""
    if wildcards.subject not in subjects.index:
        raise WorkflowError(f"{wildcards.subject}: no such subject in {config['subjects']}.")
    return subjects.at[wildcards.subject, column]


def is_synthetic(wildcards):
    """Whether the subject is made here and not captured."""
    return cell(wildcards, "dataset") == "synthetic"


def subject_gender(wildcards):
    """neutral, male or female."""
    return cell(wildcards, "gender")


def subject_seed(wildcards):
    """The seed of a synthetic subject."""
    return cell(wildcards, "source")


def body_file(wildcards):
    """The body model of the subject's gender: built here, or the user's licensed file."""
    name = f"SMPLX_{subject_gender(wildcards).upper()}.npz"
    if config["bodies"] == "free":
        return f"results/body/{name}"
    return given_file(
        Path(config["bodies"], name),
        "`bodies` in config.yaml names its folder; resources/README.md says how to get it",
    )


def body_gender(wildcards):
    """NEUTRAL, MALE or FEMALE as the body step writes them."""
    return wildcards.gender.lower()


def given_file(path, hint):
    """A file that only the user can supply; WorkflowError where it is not there."""
    if not Path(path).is_file():
        raise WorkflowError(f"{path}: no such file. {hint}.")
    return str(path)


def sapiens_checkpoint(wildcards):
    """The segmentation network that the configuration names."""
    return given_file(
        config["segmentation"]["checkpoint"],
        "`segmentation.checkpoint` in config.yaml names it; resources/README.md says how to get it",
    )


def raw_root(wildcards):
    """The folder that holds SUBJECT/OUTFIT/SEQUENCE of the subject's dataset."""
    if is_synthetic(wildcards):
        return f"results/{wildcards.subject}/synthesize"
    return config["datasets"][cell(wildcards, "dataset")]


def raw_source(wildcards):
    """SUBJECT/OUTFIT/SEQUENCE of the subject in its dataset."""
    return SYNTHETIC_SOURCE if is_synthetic(wildcards) else cell(wildcards, "source")


def raw_frame(wildcards):
    """The frame's number as the dataset writes it, five digits."""
    return SYNTHETIC_FRAME if is_synthetic(wildcards) else f"{int(cell(wildcards, 'frames')):05d}"


def raw_files(wildcards):
    """The files a subject is read from; of a synthetic one its manifest, which is written last."""
    if is_synthetic(wildcards):
        return f"results/{wildcards.subject}/synthesize/manifest.json"
    folder, frame = Path(raw_root(wildcards), raw_source(wildcards)), raw_frame(wildcards)
    files = [
        folder / "basic_info.pkl",
        folder / f"Meshes_pkl/mesh-f{frame}.pkl",
        folder / f"Meshes_pkl/atlas-f{frame}.pkl",
        folder / f"SMPLX/mesh-f{frame}_smplx.pkl",
    ]
    if config["segmentation"]["provider"] == "scan_labels":
        files.append(folder / f"Semantic/labels/label-f{frame}.pkl")
    hint = f"Subject {wildcards.subject!r} of {config['subjects']} needs it; resources/README.md says where files go"
    return [given_file(path, hint) for path in files]


def stage_settings(stage):
    """The numbers of one training stage, as the JSON that the step reads."""
    return json.dumps(config["layered"][stage], sort_keys=True)


def lpips_weights(wildcards):
    """The weights of LPIPS that the user has placed; without them the metric is left out."""
    return sorted(str(path) for path in Path("resources/lpips").glob("*.pth"))


def all_metrics():
    """Every subject's metrics."""
    return expand("results/{subject}/layered/evaluate/metrics.parquet", subject=subjects.index)


def all_benchmarks():
    """What Snakemake measured of the jobs on every subject's way to its metrics and pictures."""
    synthetic = subjects.index[subjects["dataset"] == "synthetic"]
    genders = subjects["gender"].str.upper().unique() if config["bodies"] == "free" else []
    return [
        *expand("results/benchmarks/body/{gender}.tsv", gender=genders),
        *expand("results/benchmarks/{subject}/synthesize.tsv", subject=synthetic),
        *expand("results/benchmarks/{subject}/{job}.tsv", subject=subjects.index, job=TIMED_JOBS),
    ]


def final_outputs():
    """What a whole run leaves: each subject's pictures and layers, and the tables over all subjects."""
    return [
        "results/tables/metrics.parquet",
        "results/tables/metrics.csv",
        *expand("results/{subject}/layered/pictures/pictures.json", subject=subjects.index),
        *expand("results/{subject}/layered/export/export.json", subject=subjects.index),
    ]
