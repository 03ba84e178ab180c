"""Skinning weights in the space around the body, for Gaussians that are not bound to its surface.

On the CPU, which takes seconds: no job waits for a GPU.

    snakemake --cores all results/demo/animatable/weights/weights.json

Needs: results/{subject}/normalize/capture.json, for shape and poses; the subject's body.
Makes: results/{subject}/animatable/weights/weights.npz, about 480 MB at 128 nodes a side, and weights.json, which says where its
       nodes lie and how far it is off the body's own weights.
"""


rule weight_volume:
    "Extend the body's skinning weights harmonically into a grid around it."
    input:
        capture="results/{subject}/normalize/capture.json",
        body=body_file,
        code=sources("avatarpipe.steps.weight_volume"),
    output:
        manifest="results/{subject}/animatable/weights/weights.json",
        weights="results/{subject}/animatable/weights/weights.npz",
    log:
        "logs/weight_volume/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/weight_volume.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=15,
    params:
        weights=config["animatable"]["weights"],
        legs=config["animatable"]["model"]["legs_apart_deg"],
    shell:
        """
        python -m avatarpipe.steps.weight_volume \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --resolution {params.weights[resolution]} \
            --padding {params.weights[padding]} \
            --tolerance {params.weights[tolerance]} \
            --levels {params.weights[levels]} \
            --interpolant={params.weights[interpolant]:q} \
            --legs-apart-deg {params.legs} \
            --device cpu \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
