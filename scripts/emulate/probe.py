"""What runs on both sides: the matrix kernels, and the vectors of a few texts, from variants of an artifact.

usage: probe.py FOLDER ARTIFACT OUT VARIANT...; FOLDER has ``kernels.onnx`` and ``kernels.npz``. Needs no onnx.
The artifact's first variant runs too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TEXTS = [
    "hello",
    "This is a test sentence.",
    "今天是周五啦！明天就是周末，开心的一天。",
    "The quick brown fox jumps over the lazy dog; 3.14 times, at 42 km/h, in 2024!",
    "A man is eating food.",
    "Texts with a like meaning lie close together; a CPU with other instructions must give the same vectors.",
]


def kernel_errors(folder: Path) -> dict[str, NDArray[np.int64]]:
    """Largest difference to the exact product by output of the graph, for one row and for several."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(folder / "kernels.onnx"), options, providers=["CPUExecutionProvider"])
    weights = np.load(folder / "kernels.npz")
    rng = np.random.default_rng(1)
    errors: dict[str, list[int]] = {}
    for rows in (1, 2, 7, 40):
        left = rng.integers(0, 256, (rows, weights["any"].shape[0])).astype(np.uint8)
        left[0] = 255
        for output in session.get_outputs():
            form, kind = output.name.split("_")
            exact = (left.astype(np.int64) - (128 if form == "float" else 0)) @ weights[kind].astype(np.int64)
            found = session.run([output.name], {"a": left})[0]
            errors.setdefault(output.name, []).append(int(np.abs(found - exact).max()))
    return {f"kernel_{name}": np.array(values, dtype=np.int64) for name, values in errors.items()}


def vectors(artifact: str, variant: str) -> NDArray[np.float32]:
    """float32, shape (texts, dimension); each text is a batch of its own."""
    from stonnx import Encoder

    encoder = Encoder.load(artifact, variant=variant, threads=1)
    return np.stack([encoder.encode(text) for text in TEXTS])


def main(folder: str, artifact: str, out: str, *names: str) -> None:
    """Write OUT; a variant that this CPU may not run leaves its error's message there instead of vectors."""
    from stonnx import Artifact
    from stonnx.errors import UnsupportedModelError
    from stonnx.machine import cpu_features

    start = time.monotonic()
    variants = {variant.name: variant for variant in Artifact.open(artifact).manifest.variants}
    found: dict[str, NDArray[np.generic]] = {"features": np.array(sorted(cpu_features()), dtype=str)}
    found.update(kernel_errors(Path(folder)))
    found["float32"] = np.array([name for name in variants if variants[name].precision == "fp32"])
    found["names"] = np.array(list(dict.fromkeys([*names, next(iter(variants))])))
    for name in found["names"].tolist():
        try:
            found[f"vectors_{name}"] = vectors(artifact, name)
        except UnsupportedModelError as exc:
            found[f"refused_{name}"] = np.array(str(exc))
    np.savez(out, **found)  # type: ignore[arg-type]
    print(f"  took {time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
