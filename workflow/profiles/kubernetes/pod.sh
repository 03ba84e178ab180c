#!/usr/bin/env bash
# pod.sh JOBSCRIPT: run it as the first process of a pod. Kubernetes tells that one alone that the pod is to end, half a
# minute before it kills all: told to the others too, and waited for, so that a training saves the iteration it is at. Where
# it is not the first process, -1 would mean those of others: the script's process group is told.
set -m
bash "$1" &
set +m
job=$!
told=
others=-1
[ $$ -eq 1 ] || others=-$job
trap 'told=1; kill -TERM -- "$others"' TERM
while :; do
    wait "$job"
    status=$?
    kill -0 "$job" 2>/dev/null || break
done
while [ -n "$told" ] && kill -0 -- "$others" 2>/dev/null; do sleep 0.1; done
exit "$status"
