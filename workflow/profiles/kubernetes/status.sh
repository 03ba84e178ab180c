#!/usr/bin/env bash
# What became of a Job: success, failed or running, as Snakemake asks. Where the cluster does not answer, it still runs.
set -uo pipefail
if ! counts=$(kubectl get "$1" -o 'jsonpath={.status.succeeded}/{.status.failed}' 2>&1); then
    case $counts in *NotFound*) echo failed ;; *) echo running ;; esac
    exit 0
fi
case $counts in
    [1-9]*/*) echo success ;;
    */[1-9]*) echo failed ;;
    *) echo running ;;
esac
