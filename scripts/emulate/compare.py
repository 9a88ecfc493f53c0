"""Print how an emulated run differs from the native one.

Exit code 1 if vectors differ more than rounding explains, or integer products of weights like stonnx's are not exact.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

# The least cosine there may be between two CPUs. Sums in float32 end in other digits, and then a few integers behind
# them round the other way: 0.9996 has been seen, and changing last digits on one CPU does as much (docs/emulation.md).
# A kernel that saturates gives 0.996.
_ROUNDING, _INTEGERS = 0.999999, 0.9995


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row by row, float64, shape (rows)."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(wide_a, axis=1) * np.linalg.norm(wide_b, axis=1)
    products: NDArray[np.float64] = (wide_a * wide_b).sum(axis=1) / norms
    return products


def main(cpu: str, native_file: str, emulated_file: str) -> int:
    """Compare two files that probe.py wrote; the exit code."""
    sides = {"native": dict(np.load(native_file)), cpu: dict(np.load(emulated_file))}
    for name, side in sides.items():
        worst = {key.removeprefix("kernel_"): int(side[key].max()) for key in side if key.startswith("kernel_")}
        exact = ", ".join(f"{key} {'exact' if not value else f'off by {value}'}" for key, value in worst.items())
        print(f"{name}: instruction sets {' '.join(side['features'].tolist()) or '-'}; kernels: {exact}")
        for refused in (key for key in side if key.startswith("refused_")):
            print(f"{name}: refused: {side[refused]}")
    exact_ones = sides[cpu]["float32"].tolist()
    alike = not any(side[f"kernel_{form}_pairs"].any() for side in sides.values() for form in ("int", "float"))
    wanted, *_, first = sides[cpu]["names"].tolist()
    for ours, theirs in dict.fromkeys(((wanted, wanted), (wanted, first), (first, first))):
        a, b = sides[cpu].get(f"vectors_{ours}"), sides["native"].get(f"vectors_{theirs}")
        if a is None or b is None:
            continue
        found, difference = cosines(a, b), float(np.abs(a - b).max())
        print(f"{ours} on {cpu}, {theirs} native: max |diff| {difference:.3g}, min cosine {found.min():.7f}")
        if ours == theirs:
            alike &= bool(found.min() >= (_ROUNDING if ours in exact_ones else _INTEGERS))
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
