"""Evaluation of animatable avatars: poses seen or novel, by views seen or novel, beside the baseline that only skins.

Needs: the full avatar, the skinned one unless `animatable.evaluate.baseline` is false, the capture they were trained on;
       the weights of LPIPS and FID where they are.
Makes: results/{subject}/animatable/evaluate/metrics.parquet, one row a value, and metrics.json, which says how each was
       measured and by how much the full avatar is ahead.
"""


rule evaluate_animatable:
    "Measure the avatar in poses and from views that it was not trained on, and in those it was."
    input:
        avatar="results/{subject}/animatable/full/avatar/avatar.json",
        baseline=skinned_avatar,
        capture=image_capture,
        weights=layout.metric_weights(),
        code=sources("avatarpipe.steps.evaluate_animatable"),
    output:
        metrics="results/{subject}/animatable/evaluate/metrics.parquet",
        protocol="results/{subject}/animatable/evaluate/metrics.json",
    log:
        "logs/evaluate_animatable/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/evaluate_animatable.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        novel_frames=verbatim(config["animatable"]["novel_frames"]),
        every=config["animatable"]["evaluate"]["every"],
        novel_every=config["animatable"]["evaluate"]["novel_every"],
        seen_cameras=config["animatable"]["evaluate"]["seen_cameras"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.evaluate_animatable \
            --avatar {input.avatar:q} \
            --baseline={input.baseline:q} \
            --capture {input.capture:q} \
            --novel-frames={params.novel_frames:q} \
            --every {params.every} \
            --novel-every {params.novel_every} \
            --seen-cameras {params.seen_cameras} \
            --out {output.metrics:q} \
            2>&1 | tee {log:q}
        """
