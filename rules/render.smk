"""Rendering: the normalised scans seen by the training and the held-out cameras.

Needs: results/{subject}/normalize/capture.json.
Makes: results/{subject}/render/capture.json with cameras, images/, masks/ and, where the scan is labelled,
       truth_labels/; of synthetic subjects also what lies under each garment.
"""


rule render:
    "Render every scan from both camera rigs."
    input:
        capture="results/{subject}/normalize/capture.json",
        code=sources("avatarpipe.steps.render"),
    output:
        capture="results/{subject}/render/capture.json",
    log:
        "logs/render/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/render.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=render_minutes,
    params:
        size=config["render"]["size"],
        train_views=config["render"]["train_views"],
        test_views=config["render"]["test_views"],
        supersample=config["render"]["supersample"],
        backend=config["render"]["backend"],
    shell:
        """
        python -m avatarpipe.steps.render \
            --capture {input.capture:q} \
            --size {params.size} \
            --train-views {params.train_views} \
            --test-views {params.test_views} \
            --supersample {params.supersample} \
            --backend {params.backend} \
            --out {output.capture:q} \
            2>&1 | tee {log:q}
        """
