"""Synthesis: a clothed person whom nobody had to capture, in the raw layout of a dataset, with ground truth.

Needs: the free body of the subject's gender.
Makes: results/{subject}/synthesize/: synthetic/Inner/Take1/ as 4D-Dress would give it, truth/ with the body under
       the clothes and each garment apart, and manifest.json, written last.
       results/{subject}/synthesize_video/: recording/, a multi-view video of someone whose cloth moves with the pose,
       truth/ with the moving cloth, label maps and split.json (novel poses, held-out cameras), and manifest.json.
"""


rule synthesize:
    "Make a clothed subject from its seed."
    input:
        body=body_file,
        code=sources("avatarpipe.steps.synthesize"),
    output:
        manifest="results/{subject}/synthesize/manifest.json",
    log:
        "logs/synthesize/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/synthesize.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        seed=cell("source"),
        gender=cell("gender"),
        detail=config["synthetic"]["detail"],
    shell:
        """
        python -m avatarpipe.steps.synthesize \
            --subject {wildcards.subject:q} \
            --seed {params.seed:q} \
            --gender {params.gender} \
            --body {input.body:q} \
            --detail {params.detail} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """


rule synthesize_video:
    "Film a clothed subject, who moves, from its seed; a killed run continues."
    input:
        body=body_file,
        code=sources("avatarpipe.steps.synthesize_video"),
    output:
        manifest="results/{subject}/synthesize_video/manifest.json",
    log:
        "logs/synthesize_video/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/synthesize_video.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 16
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        seed=cell("source"),
        gender=cell("gender"),
        detail=config["synthetic"]["detail"],
        video=config["synthetic"]["video"],
    shell:
        """
        python -m avatarpipe.steps.synthesize_video \
            --subject {wildcards.subject:q} \
            --seed {params.seed:q} \
            --gender {params.gender} \
            --body {input.body:q} \
            --detail {params.detail} \
            --frames {params.video[frames]} \
            --novel-frames {params.video[novel_frames]} \
            --fps {params.video[fps]} \
            --cameras {params.video[cameras]} \
            --test-cameras {params.video[test_cameras]} \
            --size {params.video[size]} \
            --supersample {params.video[supersample]} \
            --distortion {params.video[distortion]} \
            --layout {params.video[layout]} \
            --workers {threads} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
