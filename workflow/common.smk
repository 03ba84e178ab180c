"""What the rules stand on: the configuration, the subject table, input functions, and the shell of every job."""

import os
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.files import write_if_changed
from avatarpipe.layout import Layout, verbatim
from avatarpipe.motions.configured import ConfiguredMotions
from avatarpipe.planning import keep_every_object, look_for_garbage_again, of_wildcards
from avatarpipe.schemas import read_yaml
from avatarpipe.sources import code_stamp
from avatarpipe.subjects import read_subjects

WORKFLOW = Path(workflow.basedir) / "workflow"
try:
    schemas = {
        name: read_yaml(WORKFLOW / f"schemas/{name}.schema.yaml") for name in ("config", "subjects")
    }
    config.update(resolve_config(config, WORKFLOW.parent / "config/presets", schemas["config"]))
    layout = Layout(config, read_subjects(config["subjects"], schemas["subjects"]))
except InputError as error:
    raise WorkflowError(str(error)) from None

for message in layout.missing() if workflow.is_main_process else ():
    logger.warning(f"{message} What was made before stays as it is; jobs that need it fail.")

motions = ConfiguredMotions(config)
keep_every_object()


onstart:
    look_for_garbage_again()


wildcard_constraints:
    subject=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    gender="NEUTRAL|MALE|FEMALE",
    stage="single|inner|outer",
    variant="full|skinned",
    method="layered|animatable",
    motion=r"[A-Za-z0-9][A-Za-z0-9_-]*",


# Jobs run the Python that runs Snakemake, unless a conda environment puts its own in front; they find the package
# without installing it, compute and compile on the threads that their rule asks for, and draw their bars on the terminal.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
shell.prefix(
    "set -euo pipefail; if [ -t 2 ]; then export AVATARPIPE_PROGRESS=/dev/tty; fi; "
    f"export PYTHONPATH={quote(str(workflow.basedir))} NUMBA_NUM_THREADS=$OMP_NUM_THREADS "
    "TORCHINDUCTOR_COMPILE_THREADS=$OMP_NUM_THREADS; "
    f"source {quote(str(WORKFLOW / 'gpu.sh'))}; source {quote(str(WORKFLOW / 'job.sh'))}; "
)


def sources(module):
    """A file that changes whenever one of the package that `module` loads does; written where it is out of date."""
    return code_stamp(module, ".snakemake/code")


def cell(column):
    """A function from wildcards to the subject's value in a column of the subject table."""
    return of_wildcards(lambda wildcards: layout.cell(wildcards.subject, column))


def of_subject(lookup):
    """A lookup of the layout by subject name, as a function of wildcards."""
    return of_wildcards(lambda wildcards: lookup(wildcards.subject))


def of_all(lookup):
    """A lookup of the layout that is the same for all, as a function of wildcards: only jobs that ask miss its files."""
    return lambda wildcards: lookup()


body_file = of_subject(layout.body_file)
other_bodies = of_subject(layout.other_bodies)
raw_root = of_subject(layout.raw_root)
raw_source = of_subject(layout.raw_source)
raw_files = of_subject(layout.raw_files)
dataset_options = of_subject(layout.dataset_options)
image_capture = of_subject(layout.image_capture)
labelled_capture = of_subject(layout.labelled_capture)
convert_threads = of_subject(layout.convert_threads)
render_minutes = of_subject(layout.render_minutes)
score_prompt = of_subject(layout.score_prompt)
template_files = of_subject(layout.template_files)
skinned_avatar = of_subject(layout.skinned_avatar)
sapiens_checkpoint = of_all(layout.sapiens_checkpoint)
score_weights = of_all(layout.score_weights)
alignment_tolerance = layout.alignment_tolerance


def motion_option(key):
    """A function from wildcards to one option of the motion."""
    return lambda wildcards: motions.option(wildcards.motion, key)


def motion_files(wildcards):
    """What the motion is read from; nothing where it is made here."""
    return motions.files(wildcards.motion)


def motion_body(wildcards):
    """The body of the motion's gender."""
    return motions.body_file(wildcards.motion)


def guidance_weights(stage):
    """What stands for the weights that guide a stage, as a function of wildcards, so that only its jobs miss them."""
    return of_wildcards(lambda wildcards: layout.guidance_weights(stage))


def body_gender(wildcards):
    """The gender of a body file as the body step takes it."""
    return wildcards.gender.lower()


def lpips_weights(wildcards):
    """The weights of LPIPS that the user has placed; without them the metric is left out."""
    return sorted(str(path) for path in Path("resources/lpips").glob("*.pth"))


def path_list(name, paths):
    """A file with a path a line, for steps that take more paths than a command line holds; written where it is out of date."""
    path = Path(f".snakemake/lists/{name}.txt")
    write_if_changed(path, "".join(f"{entry}\n" for entry in paths))
    return path


def final_outputs():
    """What a whole run leaves. Tables come last: where they are there, Snakemake passes over what a new subject lacks."""
    layered = layout.layered()
    return [
        *expand("results/{subject}/layered/pictures/pictures.json", subject=layered),
        *expand("results/{subject}/layered/export/export.json", subject=layered),
        *expand("results/{subject}/animatable/pictures/pictures.json", subject=layout.animatable()),
        *layout.untrained_captures(),
        *layout.driven(),
        *expand("results/{subject}/align/alignment.json", subject=layout.subjects),
        *expand("results/motions/{motion}.json", motion=config["motions"]),
        *expand(
            "results/tables/metrics.{ending}", ending=["parquet", "csv"] if layout.metrics() else []
        ),
    ]
