# Sourced before every job. take_gpu gives a job one GPU of the machine to itself, waiting until one is free; take_gpu 2
# two of them, and so on. It does nothing where there is no GPU or where Slurm has already chosen. CUDA_VISIBLE_DEVICES,
# where it is set, says which may be taken. The locks last as long as the job lives.
take_gpu() {
    local wanted=${1:-1} devices device lock
    if [ -n "${SLURM_JOB_ID:-}" ] || [ "$wanted" -eq 0 ] || ! compgen -G '/dev/nvidia[0-9]*' >/dev/null; then return 0; fi
    local -a taken locks
    # CUDA numbers what it sees from 0, also in a container that was given the fourth device alone.
    devices=${CUDA_VISIBLE_DEVICES:-$(compgen -G '/dev/nvidia[0-9]*' | awk '{print NR - 1}' | paste -sd,)}
    if [ "$(wc -w <<<"${devices//,/ }")" -lt "$wanted" ]; then
        echo "error: this job needs $wanted GPUs; those it may use here are $devices (docs/clusters.md)." >&2
        return 1
    fi
    while :; do
        taken=() locks=()
        for device in ${devices//,/ }; do
            exec {lock}>"${TMPDIR:-/tmp}/avatarpipe-$UID-gpu-$device"
            if flock -n "$lock"; then taken+=("$device") locks+=("$lock"); else exec {lock}>&-; fi
            if [ ${#taken[@]} -eq "$wanted" ]; then
                CUDA_VISIBLE_DEVICES=$(IFS=,; echo "${taken[*]}")
                export CUDA_VISIBLE_DEVICES
                return 0
            fi
        done
        for lock in "${locks[@]}"; do exec {lock}>&-; done # all or none: two jobs must not hold one each and wait for ever
        sleep "$((1 + RANDOM % 3))"
    done
}

# on_gpus 2 python -m MODULE ... runs the module in two processes that work together, a GPU each, by torchrun; on_gpus 1 runs
# the command as it stands.
on_gpus() {
    local count=$1
    if [ "$count" -lt 2 ]; then "${@:2}"; return; fi
    python -m torch.distributed.run --standalone --nproc-per-node "$count" "${@:3}"
}
