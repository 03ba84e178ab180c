"""Scoring: how well the inner layer alone shows what a prompt says, by ImageReward and CLIP. Off by default.

Needs: the inner stage's avatar, results/{subject}/segment/capture.json, and the networks in the folders that
       config.yaml names.
Makes: results/{subject}/layered/score/: pictures/*.png with pictures.json, metrics.parquet with one row a value, and
       metrics.json, which says how each was measured.
"""


rule draw_inner:
    "Draw the inner layer alone, as the held-out cameras would see it in canonical pose."
    input:
        avatar="results/{subject}/layered/inner/avatar/avatar.json",
        capture="results/{subject}/segment/capture.json",
        code=sources("avatarpipe.steps.draw_inner"),
    output:
        pictures="results/{subject}/layered/score/pictures/pictures.json",
    log:
        "logs/draw_inner/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/draw_inner.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=30,
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.draw_inner \
            --avatar {input.avatar:q} \
            --capture {input.capture:q} \
            --out {output.pictures:q} \
            2>&1 | tee {log:q}
        """


rule score:
    "Score those pictures, in an environment of its own."
    input:
        pictures="results/{subject}/layered/score/pictures/pictures.json",
        weights=score_weights,
        code=sources("avatarpipe.steps.score"),
    output:
        metrics="results/{subject}/layered/score/metrics.parquet",
        protocol="results/{subject}/layered/score/metrics.json",
    log:
        "logs/score/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/score.tsv"
    conda:
        "../envs/imagereward.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=60,
    params:
        prompt=score_prompt,
        image_reward=verbatim(config["scoring"]["image_reward"]),
        clip=verbatim(config["scoring"]["clip"]),
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.score \
            --pictures {input.pictures:q} \
            --prompt={params.prompt:q} \
            --image-reward={params.image_reward:q} \
            --clip={params.clip:q} \
            --out {output.metrics:q} \
            2>&1 | tee {log:q}
        """
