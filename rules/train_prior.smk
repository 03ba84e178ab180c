"""A diffusion prior of undressed people, trained on synthetic ones: guidance without anybody's weights.

Needs: the free bodies of both genders. Run where `layered.guidance.model` is results/prior, or when asked for.
Makes: results/prior/: unet/, curves.parquet, samples.png (see docs/guidance.md), the renders in data/, and prior.json,
       written last. A killed job continues from its last checkpoint.
"""


rule train_prior:
    "Train a small diffusion model of people without their upper garment."
    input:
        female="results/body/SMPLX_FEMALE.npz",
        male="results/body/SMPLX_MALE.npz",
        code=sources("avatarpipe.steps.train_prior"),
    output:
        prior="results/prior/prior.json",
        samples="results/prior/samples.png",
        curves="results/prior/curves.parquet",
    log:
        "logs/train_prior.log",
    benchmark:
        "results/benchmarks/train_prior.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 16
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=120,
    params:
        prior=config["prior"],
        exclude=layout.synthetic_seeds(),
        seed=config["seed"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.train_prior \
            --female {input.female:q} \
            --male {input.male:q} \
            --exclude {params.exclude:q} \
            --people {params.prior[people]} \
            --test-people {params.prior[test_people]} \
            --poses {params.prior[poses]} \
            --size {params.prior[size]} \
            --channels {params.prior[channels]} \
            --iterations {params.prior[iterations]} \
            --batch {params.prior[batch]} \
            --workers {threads} \
            --seed {params.seed} \
            --out {output.prior:q} \
            2>&1 | tee {log:q}
        """
