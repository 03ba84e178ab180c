"""Evaluation: the avatar against held-out views, true layers, the hidden body and the scan.

Needs: the outer avatar and its mesh, the inner stage's unoptimised start, results/{subject}/segment/capture.json.
Makes: results/{subject}/layered/evaluate/metrics.parquet, one row a value, and metrics.json, which says how each was
       measured.
"""


rule evaluate:
    "Measure the avatar on views it was not trained on."
    input:
        avatar="results/{subject}/layered/outer/avatar/avatar.json",
        start="results/{subject}/layered/inner/initial_avatar/avatar.json",
        mesh="results/{subject}/layered/outer/mesh/mesh.json",
        capture="results/{subject}/segment/capture.json",
        body=body_file,
        lpips=lpips_weights,
        code=sources("avatarpipe.steps.evaluate"),
    output:
        metrics="results/{subject}/layered/evaluate/metrics.parquet",
        protocol="results/{subject}/layered/evaluate/metrics.json",
    log:
        "logs/evaluate/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/evaluate.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=60,
    params:
        garment=config["garment"],
        seed=config["seed"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.evaluate \
            --avatar {input.avatar:q} \
            --baseline-avatar {input.start:q} \
            --mesh {input.mesh:q} \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --garment {params.garment} \
            --seed {params.seed} \
            --out {output.metrics:q} \
            2>&1 | tee {log:q}
        """
