"""Print how an emulated run differs from the native one. Exit code 1 if it differs more than rounding explains."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 0.999999  # cosine of vectors that differ by the order of float32 sums alone


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row by row, float64, shape (rows)."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(wide_a, axis=1) * np.linalg.norm(wide_b, axis=1)
    products: NDArray[np.float64] = (wide_a * wide_b).sum(axis=1) / norms
    return products


def main(cpu: str, native_file: str, emulated_file: str) -> int:
    """Compare two files that probe.py wrote; the exit code."""
    native, emulated = dict(np.load(native_file)), dict(np.load(emulated_file))
    for side, name in ((native, "native"), (emulated, cpu)):
        worst = {key.removeprefix("kernel_"): int(side[key].max()) for key in side if key.startswith("kernel_")}
        exact = ", ".join(f"{key} {'exact' if not value else f'off by {value}'}" for key, value in worst.items())
        print(f"{name}: instruction sets {' '.join(side['features'].tolist()) or '-'}; kernels: {exact}")
    for key, side in (("native", native), (cpu, emulated)):
        if "refused_vectors" in side:
            print(f"{key}: refused: {side['refused_vectors']}")
    if "vectors" not in emulated:
        return 0
    alike = True
    for key, label in (("vectors", "the same variant"), ("reference", "the first variant")):
        if key in native:
            found = cosines(native[key], emulated["vectors"])
            difference = float(np.abs(native[key] - emulated["vectors"]).max())
            print(f"{cpu} against native {label}: max |diff| {difference:.3g}, min cosine {found.min():.7f}")
            alike = alike and (key != "vectors" or bool(found.min() >= _ROUNDING))
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
