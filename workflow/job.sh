# Sourced before every job: what a job that was killed says, since it cannot say it itself.
name_signal() {
    if [ "$1" -le 128 ] || [ "$1" -gt 192 ]; then return 0; fi
    local signal=$(($1 - 128)) why
    case $signal in
        9) why="most often because memory ran out: give the job more, or run fewer at a time" ;;
        7) why="most often because the disk is full: make room" ;;
        15) why="by the scheduler at the job's time or memory limit, or by somebody" ;;
        *) why="which is a fault of a compiled library or of the machine" ;;
    esac
    echo "error: the job was ended by signal $signal ($(kill -l "$signal")), $why (docs/clusters.md). Nothing half-written was kept: run again." >&2
}
trap 'name_signal $?' EXIT
