# Sourced before every job. take_gpu gives a job one GPU of the machine to itself, waiting until one is free;
# it does nothing where there is no GPU or where Slurm has already chosen. The lock lasts as long as the job lives.
take_gpu() {
    if [ -n "${SLURM_JOB_ID:-}" ] || ! compgen -G '/dev/nvidia[0-9]*' >/dev/null; then return 0; fi
    local devices lock device
    devices=${CUDA_VISIBLE_DEVICES:-$(compgen -G '/dev/nvidia[0-9]*' | sed 's#/dev/nvidia##' | paste -sd,)}
    while :; do
        for device in ${devices//,/ }; do
            exec {lock}>"${TMPDIR:-/tmp}/avatarpipe-$UID-gpu-$device"
            if flock -n "$lock"; then
                export CUDA_VISIBLE_DEVICES=$device
                return 0
            fi
            exec {lock}>&-
        done
        sleep 2
    done
}
