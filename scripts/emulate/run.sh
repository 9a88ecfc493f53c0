#!/usr/bin/env bash
# Run a variant of an artifact inside an emulated CPU, and compare it with the native run: see docs/emulation.md.
#
# usage: scripts/emulate/run.sh CPU ARTIFACT VARIANT
#   CPU: an ARM64 or x86 model of QEMU (cortex-a72, neoverse-n1, neoverse-v1, max; Nehalem, Haswell) or an x86
#        model of Bochs with AVX-512 (corei7_skylake_x without VNNI, tigerlake, arrow_lake, sapphire_rapids).
# $PYTHON has stonnx's dependencies; $STONNX_EMULATE_DIR keeps what is downloaded (about 1.5 GB).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ $# -eq 3 ]] || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
cpu=$1 artifact=$(realpath "$2") variant=$3
repository=$(cd "$here/../.." && pwd)
python=${PYTHON:-$repository/.venv/bin/python}
[[ -x $(command -v "$python") ]] || { echo "No Python at $python: run \`make setup\`, or set PYTHON." >&2; exit 2; }
store=${STONNX_EMULATE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/stonnx/emulate}
mkdir -p "$store"
store=$(cd "$store" && pwd)
work=$(mktemp -d "$store/run.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=scripts/emulate/setup.sh
source "$here/setup.sh"

case $cpu in
tigerlake | corei7_icelake_u | corei7_skylake_x | arrow_lake | sapphire_rapids) machine=bochs arch=amd64 ;;
Nehalem | nehalem | Haswell | haswell) cpu=${cpu^} machine=x86_64 arch=amd64 ;;
*) machine=aarch64 arch=arm64 ;;
esac

# The guest: Debian's Python and the wheels of the versions that the native side runs.
packages=(numpy onnxruntime tokenizers) site=$store/site-$arch
if [[ $variant == openvino* ]]; then packages+=(openvino) site+=-openvino; fi
need_root "$arch" "${guest_packages[@]}"
need_site "$arch" "$site" "${packages[@]}"
if [[ $machine == bochs ]]; then need_root amd64 "${bochs_packages[@]}"; else need_qemu; fi
"$python" "$here/kernels.py" "$work/kernels.onnx"
cp "$here/probe.py" "$work/"

echo "Native run ..." >&2
PYTHONPATH="$repository/src" "$python" "$here/probe.py" "$work" "$artifact" "$work/native.npz" "$variant"

echo "Run on $cpu ..." >&2
SECONDS=0
if [[ $machine == bochs ]]; then
    "$python" "$here/bochs.py" --store "$store" --site "$site" --work "$work" --cpu "$cpu" \
        --source "$repository/src" --artifact "$artifact" "$variant"
else
    root=$store/root-$arch
    if [[ $machine == x86_64 ]]; then
        # QEMU shows the host's /proc/cpuinfo to x86 guests; the loader's check must see the emulated CPU.
        flags="sse sse2 ssse3 sse4_1 sse4_2 popcnt"
        [[ $cpu == Haswell ]] && flags+=" avx f16c fma bmi1 bmi2 avx2"
        mkdir -p "$root/proc"
        printf 'processor\t: 0\nmodel name\t: QEMU %s\nflags\t\t: %s\n' "$cpu" "$flags" >"$root/proc/cpuinfo"
    fi
    PYTHONHOME="$root/usr" PYTHONPATH="$site:$repository/src" PYTHONDONTWRITEBYTECODE=1 \
        nice -n 19 "$store/qemu/usr/bin/qemu-$machine" -L "$root" -cpu "$cpu" "$root/usr/bin/$guest_python" \
        "$work/probe.py" "$work" "$artifact" "$work/emulated.npz" "$variant" \
        2> >(grep -v "TCG doesn't support" >&2)
fi
echo "  $((SECONDS / 60)) min $((SECONDS % 60)) s on $cpu" >&2

"$python" "$here/compare.py" "$cpu" "$work/native.npz" "$work/emulated.npz"
