"""avatarpipe: human captures in, animatable layered Gaussian avatars out. `snakemake --cores all` makes everything."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/common.smk"
# In the order they run.
include: "rules/body.smk"
include: "rules/synthesize.smk"
include: "rules/convert.smk"
include: "rules/convert_motion.smk"
include: "rules/normalize.smk"
include: "rules/render.smk"
include: "rules/align.smk"
include: "rules/segment.smk"
include: "rules/train_prior.smk"
include: "rules/train_layered.smk"
include: "rules/extract_mesh.smk"
include: "rules/weight_volume.smk"
include: "rules/export.smk"
include: "rules/export_capture.smk"
include: "rules/evaluate.smk"
include: "rules/score.smk"
include: "rules/pictures.smk"
include: "rules/collect.smk"


rule all:
    "Make every avatar of the subject table, its pictures and the tables over all of them."
    default_target: True
    input:
        final_outputs(),
