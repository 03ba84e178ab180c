"""Motions: files of any format, and motions made here, in one container for every avatar to follow.

Needs: the files that `motions` in config.yaml names; a body, by default the neutral one.
Makes: results/motions/{motion}.npz (y up, metres, full hands, one frame rate), a strip and an animation of it, and
       {motion}.json, written last.
"""


rule convert_motion:
    "Read, check and resample one motion, and draw it."
    input:
        raw=motion_files,
        body=motion_body,
        code=sources("avatarpipe.steps.convert_motion"),
    output:
        motion="results/motions/{motion}.npz",
        strip="results/motions/{motion}.png",
        clip="results/motions/{motion}.webp",
        manifest="results/motions/{motion}.json",
    log:
        "logs/convert_motion/{motion}.log",
    benchmark:
        "results/benchmarks/convert_motion/{motion}.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        file=motion_option("file"),
        format=motion_option("format"),
        person=motion_option("person"),
        hands=motion_option("hands"),
        up=motion_option("up"),
        source_fps=motion_option("source_fps"),
        frames=motion_option("frames"),
        fps=motion_option("fps"),
        height=motion_option("height"),
        shape=motions.shape(),
    shell:
        """
        python -m avatarpipe.steps.convert_motion \
            --motion={params.file:q} \
            --format {params.format} \
            --person {params.person} \
            --hands {params.hands} \
            --up={params.up} \
            --source-fps {params.source_fps} \
            --frames {params.frames:q} \
            --fps {params.fps} \
            --height {params.height} \
            --shape {params.shape:q} \
            --body {input.body:q} \
            --out {output.motion:q} \
            2>&1 | tee {log:q}
        """
