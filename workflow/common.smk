"""What the rules stand on: the configuration, the subject table, input functions, and the shell of every job."""

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
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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


def body_file(wildcards):
    """The body model of the subject's gender."""
    return f"results/body/SMPLX_{cell(wildcards, 'gender').upper()}.npz"


def final_outputs():
    """What a whole run leaves: each subject's pictures and layers, and the tables over all subjects."""
    return [
        "results/tables/metrics.parquet",
        "results/tables/metrics.csv",
        *expand("results/{subject}/layered/pictures/pictures.json", subject=subjects.index),
    ]
