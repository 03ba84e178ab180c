#!/usr/bin/env bash
# Stop what workflow/slurm-up.sh started.
set -euo pipefail
shopt -s nullglob
for file in /run/slurmd-*.pid /run/slurmctld.pid /run/munge/munged.pid; do
    if [ ! -s "$file" ]; then continue; fi
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do if [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; then sleep 0.1; else break; fi; done
done
