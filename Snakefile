"""avatarpipe: human captures in, animatable layered Gaussian avatars out. `snakemake --cores all` makes everything."""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/configfile.smk"
include: "workflow/common.smk"


IN_THE_ORDER_THEY_RUN = """
    body synthesize convert convert_motion normalize render align segment train_prior
    train_layered extract_mesh weight_volume train_animatable drive
    export export_capture evaluate evaluate_animatable score pictures pictures_animatable collect
"""
for step in IN_THE_ORDER_THEY_RUN.split():

    include: f"rules/{step}.smk"


rule all:
    "Make every avatar of the subject table, its pictures and the tables over all of them."
    default_target: True
    input:
        final_outputs(),
