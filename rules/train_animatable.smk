"""Animatable training: Gaussians on the body, moved by its pose and shaped by it, from the frames of a video.

    snakemake --cores all results/vic/animatable/full/avatar/avatar.json

Needs: the capture of a video (results/{subject}/normalize/capture.json, or render/ of a scanned one), found aligned; the
       subject's body and its volume of skinning weights; the mesh that `animatable.template` names, if any; the weights of
       LPIPS where they are.
Makes: results/{subject}/animatable/{full,skinned}/avatar/avatar.json, and curves.parquet beside its folder. A killed job
       continues from its last checkpoint, in checkpoints/ beside them; snapshot/avatar.json is the avatar at that checkpoint.
       skinned is the baseline: the same training in which the pose never shapes the Gaussians.
"""


rule train_animatable:
    "Fit Gaussians that follow the pose to the training frames of a video."
    input:
        capture=image_capture,
        alignment="results/{subject}/align/alignment.json",
        weights="results/{subject}/animatable/weights/weights.json",
        body=body_file,
        template=template_files,
        lpips=lpips_weights,
        code=sources("avatarpipe.steps.train_animatable"),
    output:
        avatar="results/{subject}/animatable/{variant}/avatar/avatar.json",
        curves="results/{subject}/animatable/{variant}/curves.parquet",
    log:
        "logs/train_animatable/{subject}-{variant}.log",
    benchmark:
        "results/benchmarks/{subject}/train_animatable-{variant}.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=config["animatable"]["gpus"],
        mem_mb=16000,
        runtime=1440,
    params:
        template=layout.template_kind(),
        novel_frames=verbatim(config["animatable"]["novel_frames"]),
        settings=verbatim(layout.animatable_settings()),
        seed=config["seed"],
    shell:
        """
        take_gpu {resources.gpu}
        on_gpus {resources.gpu} python -m avatarpipe.steps.train_animatable \
            --variant {wildcards.variant:q} \
            --capture {input.capture:q} \
            --weights {input.weights:q} \
            --body {input.body:q} \
            --template {params.template:q} \
            --template-mesh={input.template:q} \
            --novel-frames={params.novel_frames:q} \
            --settings {params.settings:q} \
            --seed {params.seed} \
            --out {output.avatar:q} \
            --curves {output.curves:q} \
            2>&1 | tee {log:q}
        """
