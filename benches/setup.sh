#!/bin/sh
# Installs what the benchmark needs: the load generator, C build needs of the peers, and the peers
# themselves into benches/.venv. Usage: benches/setup.sh [python3]
#
# A peer that does not build here is left out; `run.py` then lists it as missing.
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3}

# wrk: the load. libev-dev: bjoern. python3-dev and gcc: bjoern, fastwsgi, uWSGI (a Python that was
# built from source brings its own headers). taskset and setpriv are in util-linux.
packages="wrk gcc libc6-dev libev-dev python3-dev python3-venv util-linux"
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    # shellcheck disable=SC2086
    $sudo apt-get install -y --no-install-recommends $missing ||
        { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } ||
        exit 1
fi

[ -x "$here/.venv/bin/python" ] || "$python" -m venv "$here/.venv" || exit 1
failed=""
# One at a time, so that one that does not build keeps none of the others out.
while read -r requirement; do
    case $requirement in ''|'#'*) continue ;; esac
    "$here/.venv/bin/python" -m pip install --quiet --disable-pip-version-check "$requirement" ||
        failed="$failed $requirement"
done < "$here/requirements.txt"
[ -z "$failed" ] || echo "not installed:$failed" >&2
