"""Layered training: one layer of everything, then the body under the garment, then the garment over the body.

Needs: results/{subject}/segment/capture.json, found aligned, and the subject's body; the inner and outer stages also the avatar of
       the stage before and the garment.ply of the single stage's mesh; a stage with guidance the weights of the
       diffusion model that `layered.guidance` names.
Makes: results/{subject}/layered/{single,inner,outer}/avatar/avatar.json, and curves.parquet beside its folder.
       A killed job continues from its last checkpoint, in checkpoints/ beside them.
"""


rule train_single:
    "Fit one layer of Gaussians to the clothed subject."
    input:
        capture="results/{subject}/segment/capture.json",
        alignment="results/{subject}/align/alignment.json",
        body=body_file,
        weights=guidance_weights("single"),
        code=sources("avatarpipe.steps.train_layered"),
    output:
        avatar="results/{subject}/layered/single/avatar/avatar.json",
        curves="results/{subject}/layered/single/curves.parquet",
    log:
        "logs/train_single/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/train_single.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=verbatim(layout.stage_settings("single")),
        garment=config["garment"],
        seed=config["seed"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.train_layered \
            --stage single \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --garment {params.garment} \
            --settings {params.settings:q} \
            --seed {params.seed} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """


rule train_inner:
    "Fit the body under the garment, completing the skin that the garment hides."
    input:
        capture="results/{subject}/segment/capture.json",
        body=body_file,
        previous="results/{subject}/layered/single/avatar/avatar.json",
        mesh="results/{subject}/layered/single/mesh/garment.ply",
        weights=guidance_weights("inner"),
        code=sources("avatarpipe.steps.train_layered"),
    output:
        avatar="results/{subject}/layered/inner/avatar/avatar.json",
        curves="results/{subject}/layered/inner/curves.parquet",
        start="results/{subject}/layered/inner/initial_avatar/avatar.json",
    log:
        "logs/train_inner/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/train_inner.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=verbatim(layout.stage_settings("inner")),
        garment=config["garment"],
        seed=config["seed"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.train_layered \
            --stage inner \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --previous {input.previous:q} \
            --garment-mesh {input.mesh:q} \
            --garment {params.garment} \
            --settings {params.settings:q} \
            --seed {params.seed} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """


rule train_outer:
    "Fit the garment over the body of the inner stage."
    input:
        capture="results/{subject}/segment/capture.json",
        body=body_file,
        previous="results/{subject}/layered/inner/avatar/avatar.json",
        mesh="results/{subject}/layered/single/mesh/garment.ply",
        weights=guidance_weights("outer"),
        code=sources("avatarpipe.steps.train_layered"),
    output:
        avatar="results/{subject}/layered/outer/avatar/avatar.json",
        curves="results/{subject}/layered/outer/curves.parquet",
    log:
        "logs/train_outer/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/train_outer.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=verbatim(layout.stage_settings("outer")),
        garment=config["garment"],
        seed=config["seed"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.train_layered \
            --stage outer \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --previous {input.previous:q} \
            --garment-mesh {input.mesh:q} \
            --garment {params.garment} \
            --settings {params.settings:q} \
            --seed {params.seed} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """
