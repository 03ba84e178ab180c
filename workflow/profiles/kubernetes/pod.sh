#!/usr/bin/env bash
# pod.sh JOBSCRIPT: run it as the first process of a pod. Kubernetes tells that one alone that the pod is to end, half a
# minute before it kills all: told to the others too, and waited for, so that a training saves the iteration it is at.
bash "$1" &
job=$!
told=
trap 'told=1; kill -TERM -1' TERM
while :; do
    wait "$job"
    status=$?
    kill -0 "$job" 2>/dev/null || break
done
while [ -n "$told" ] && kill -0 -1 2>/dev/null; do sleep 0.1; done
exit "$status"
