#!/usr/bin/env bash
# Stop what workflow/slurm-up.sh started, and take away its configuration: while that is there without a controller, each
# command of Slurm waits nine seconds for one, and so does Snakemake with the Slurm plugin, at every start.
set -euo pipefail
shopt -s nullglob
for file in /run/slurmd-*.pid /run/slurmctld.pid /run/munge/munged.pid; do
    if [ ! -s "$file" ]; then continue; fi
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do if [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; then sleep 0.1; else break; fi; done
done
if grep -qs "written by workflow/slurm-up.sh" /etc/slurm/slurm.conf; then rm -f /etc/slurm/{slurm,gres,cgroup}.conf; fi
