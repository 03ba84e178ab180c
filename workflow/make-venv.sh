#!/usr/bin/env bash
# make-venv.sh FOLDER: a virtual environment of the best Python on this machine, or one sentence on what is missing.
set -euo pipefail
folder=$1

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -x "$folder/bin/python" ] && usable "$folder/bin/python"; then exit; fi

for name in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if usable "$name"; then python=$name; break; fi
done
if [ -z "${python:-}" ]; then
    found=$(python3 --version 2>/dev/null || echo 'no python3')
    echo "avatarpipe needs Python 3.11 or newer; this machine has $found." >&2
    echo "Install one (Debian, Ubuntu: apt install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments." >&2
    echo "Install its venv module (Debian, Ubuntu: apt install python3-venv), then run make again." >&2
    exit 1
fi
echo "Installing into $folder with $("$python" --version): about two minutes and 3 GB, once."
"$python" -m venv --clear "$folder"
