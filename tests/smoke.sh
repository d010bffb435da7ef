#!/bin/sh
# Installs each package that is named (a wheel, an sdist) into a virtual environment of its own, far from the source
# tree, and runs tests/smoke.py there. `make wheel-test` calls it.
set -eu
python=$1
shift
smoke=$(realpath "$(dirname "$0")/smoke.py")
target=$(realpath "$(dirname "$0")/..")/target/sdist
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp "$smoke" "$place"
for package; do
	package=$(realpath "$package")
	echo "$package"
	rm -rf "$place/venv"
	"$python" -m venv "$place/venv"
	# An sdist is compiled; the directory for it makes a second time quick.
	(cd "$place" && CARGO_TARGET_DIR=$target timeout 1800 \
		venv/bin/python -m pip install --quiet --disable-pip-version-check "$package")
	(cd "$place" && timeout 300 venv/bin/python smoke.py)
done
