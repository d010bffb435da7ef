#!/bin/sh
# Builds and tests with each CPython that is named by its version (3.10 3.11 ...) and found on this machine: on the
# PATH, or among those that pyenv has made. Each has a virtual environment, .venv-VERSION, and a build directory of its
# own, so that a second run is quick. `make test-pythons` calls it.
set -u
cd "$(dirname "$0")/.." || exit 1

# The interpreter of version $1, if there is one that works.
interpreter() {
	for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/"python$1"; do
		if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
			"$candidate" -c 'import sys; print(sys.executable)'
			return
		fi
	done
}

failed=0
summary=
for version; do
	python=$(interpreter "$version")
	if [ -z "$python" ]; then
		summary="$summary
$version: not on this machine"
		continue
	fi
	echo "== CPython $version: $python"
	if timeout "${SECONDS_EACH:-3600}" make test-python VENV=".venv-$version" PYTHON3="$python" \
		CARGO_TARGET_DIR="$PWD/target/cpython-$version"; then
		result=passed
	else
		result=FAILED
		failed=1
	fi
	summary="$summary
$version: $result ($("$python" -c 'import platform; print(platform.python_version())'))"
done
echo "$summary"
exit $failed
