"""Driving: an avatar follows a motion that nobody saw it make, frame by frame.

Needs: the avatar of a method (layered: its outer stage; animatable: the full variant), results/motions/{motion}.npz, the
       bodies of subject and motion, and a capture for one of its cameras.
Makes: results/{subject}/{method}/drive/{motion}/: frames/%06d.png, video.mp4, cameras.parquet, frames.parquet, poses.npz,
       on demand ply/%06d.ply; drive.html and strip.png for the report; drive.json, written last. A killed run goes on.
"""


rule drive:
    "Let an avatar follow a motion; a killed run continues."
    input:
        avatar=layout.avatar,
        motion="results/motions/{motion}.npz",
        body=body_file,
        motion_body=motion_body,
        capture=image_capture,
        code=sources("avatarpipe.steps.drive"),
    output:
        manifest="results/{subject}/{method}/drive/{motion}/drive.json",
        video="results/{subject}/{method}/drive/{motion}/video.mp4",
        page=report(
            "results/{subject}/{method}/drive/{motion}/drive.html",
            caption="../workflow/report/drive.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "driven by {motion}: video"},
        ),
        strip=report(
            "results/{subject}/{method}/drive/{motion}/strip.png",
            caption="../workflow/report/drive.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "driven by {motion}: frames"},
        ),
    log:
        "logs/drive/{subject}-{method}-{motion}.log",
    benchmark:
        "results/benchmarks/{subject}/drive-{method}-{motion}.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=240,
    params:
        drive=config["drive"],
        switches=layout.drive_switches(),
        expression=motions.expression(),
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.drive \
            --avatar {input.avatar:q} \
            --motion {input.motion:q} \
            --body {input.body:q} \
            --motion-body {input.motion_body:q} \
            --capture {input.capture:q} \
            --camera={params.drive[camera]:q} \
            --azimuth={params.drive[azimuth]} \
            --height {params.drive[height]} \
            --width {params.drive[width]} \
            --background={params.drive[background]:q} \
            --root {params.drive[root]} \
            --fps {params.drive[fps]} \
            --smooth {params.drive[smooth]} \
            --projection {params.drive[projection]} \
            --expression {params.expression:q} \
            {params.switches} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
