"""Layered training: one layer of everything, then the body under the garment, then the garment over the body.

Needs: results/{subject}/segment/capture.json and the subject's body; the inner stage also the single stage's avatar
       and coarse garment mesh, the outer stage also the inner avatar.
Makes: results/{subject}/layered/{single,inner,outer}/avatar/avatar.json and curves.parquet beside the avatar.
       A killed job continues from its last checkpoint.
"""


rule train_single:
    "Fit one layer of Gaussians to the clothed subject."
    input:
        capture="results/{subject}/segment/capture.json",
        body=body_file,
        code=sources("avatarpipe.steps.train_layered"),
    output:
        avatar="results/{subject}/layered/single/avatar/avatar.json",
        curves="results/{subject}/layered/single/curves.parquet",
    log:
        "logs/train_single/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/train_single.tsv"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=stage_settings("single"),
    shell:
        """
        take_gpu
        python -m avatarpipe.steps.train_layered \
            --stage single \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --settings {params.settings:q} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """


rule train_inner:
    "Fit the body under the garment, completing the skin that the garment hides."
    input:
        capture="results/{subject}/segment/capture.json",
        body=body_file,
        single="results/{subject}/layered/single/avatar/avatar.json",
        garment="results/{subject}/layered/single/mesh/mesh.json",
        code=sources("avatarpipe.steps.train_layered"),
    output:
        avatar="results/{subject}/layered/inner/avatar/avatar.json",
        curves="results/{subject}/layered/inner/curves.parquet",
    log:
        "logs/train_inner/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/train_inner.tsv"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=stage_settings("inner"),
    shell:
        """
        take_gpu
        python -m avatarpipe.steps.train_layered \
            --stage inner \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --single {input.single:q} \
            --garment-mesh {input.garment:q} \
            --settings {params.settings:q} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """


rule train_outer:
    "Fit the garment over the body of the inner stage."
    input:
        capture="results/{subject}/segment/capture.json",
        body=body_file,
        garment="results/{subject}/layered/single/mesh/mesh.json",
        inner="results/{subject}/layered/inner/avatar/avatar.json",
        code=sources("avatarpipe.steps.train_layered"),
    output:
        avatar="results/{subject}/layered/outer/avatar/avatar.json",
        curves="results/{subject}/layered/outer/curves.parquet",
    log:
        "logs/train_outer/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/train_outer.tsv"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=stage_settings("outer"),
    shell:
        """
        take_gpu
        python -m avatarpipe.steps.train_layered \
            --stage outer \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --garment-mesh {input.garment:q} \
            --inner {input.inner:q} \
            --settings {params.settings:q} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """
