# Sourced before every job: what a job that was killed says, since it cannot say it itself.
told_to_end=
name_signal() {
    local status=$1
    if [ "$status" -eq 1 ] && [ -n "$told_to_end" ]; then status=$told_to_end; fi # torchrun says 1, whatever happened
    if [ "$status" -le 128 ] || [ "$status" -gt 192 ]; then return 0; fi
    local signal=$((status - 128)) why
    case $signal in
        1) why="because its terminal was closed" ;;
        2) why="by Ctrl-C" ;;
        9) why="most often because memory ran out: give the job more, or run fewer at a time" ;;
        7) why="most often because the disk is full: make room" ;;
        15) why="by the scheduler at the job's time or memory limit, or by somebody" ;;
        *) why="which is a fault of a compiled library or of the machine" ;;
    esac
    echo "error: the job was ended by signal $signal ($(kill -l "$signal")), $why (docs/clusters.md). Nothing half-written was kept: run again." >&2
}
trap 'name_signal $?' EXIT
# Schedulers and terminals signal all processes of a job. The shell outlives the program, which may have something to save,
# and so does what writes the log: without it the program could not say what it does. Of a reader that has gone, such as
# `| head`, GNU's is told to take no notice.
trap 'told_to_end=129' HUP
trap 'told_to_end=130' INT
trap 'told_to_end=143' TERM
tee() {
    trap '' HUP INT TERM
    case ${OSTYPE:-} in linux*) command tee -p "$@" ;; *) command tee "$@" ;; esac
}
