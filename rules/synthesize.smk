"""Synthesis: a clothed person that nobody had to scan, in the raw layout of 4D-Dress, with ground truth.

Needs: the free body of the subject's gender.
Makes: results/{subject}/synthesize/: synthetic/Inner/Take1/ as a dataset would give it, truth/ with the body under
       the clothes and each garment apart, and manifest.json, written last.
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
            --seed {params.seed} \
            --gender {params.gender} \
            --body {input.body:q} \
            --detail {params.detail} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
