"""Pictures of animatable avatars: what people want to see before they believe its numbers.

Needs: the full avatar with its curves, the skinned one unless `animatable.evaluate.baseline` is false, and the capture that
       they were trained on.
Makes: results/{subject}/animatable/pictures/: turntable, views of held-out cameras and novel poses with error maps, new
       poses, what the projection of novel poses does, training curves; pictures.json, written last.
"""


rule pictures_animatable:
    "Draw the animatable avatar for the report."
    input:
        avatar="results/{subject}/animatable/full/avatar/avatar.json",
        baseline=skinned_avatar,
        capture=image_capture,
        code=sources("avatarpipe.steps.pictures_animatable"),
    output:
        manifest="results/{subject}/animatable/pictures/pictures.json",
        turntable=report(
            "results/{subject}/animatable/pictures/turntable.html",
            caption="../workflow/report/animatable_turntable.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "turntable"},
        ),
        poses=report(
            "results/{subject}/animatable/pictures/poses.png",
            caption="../workflow/report/animatable_poses.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "new poses, full and skinned"},
        ),
        views=report(
            "results/{subject}/animatable/pictures/views.png",
            caption="../workflow/report/animatable_views.rst",
            category="Evaluation",
            subcategory="{subject}",
            labels={"picture": "held-out views and novel poses"},
        ),
        projection=report(
            "results/{subject}/animatable/pictures/projection.png",
            caption="../workflow/report/projection.rst",
            category="Evaluation",
            subcategory="{subject}",
            labels={"picture": "projection of novel poses"},
        ),
        curves=report(
            "results/{subject}/animatable/pictures/curves.png",
            caption="../workflow/report/animatable_curves.rst",
            category="Training",
            subcategory="{subject}",
            labels={"picture": "training curves"},
        ),
    log:
        "logs/pictures_animatable/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/pictures_animatable.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=60,
    params:
        novel_frames=verbatim(config["animatable"]["novel_frames"]),
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.pictures_animatable \
            --avatar {input.avatar:q} \
            --baseline={input.baseline:q} \
            --capture {input.capture:q} \
            --novel-frames={params.novel_frames:q} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
