"""Files of gigabytes: numbers beyond 32 bits are right, and no more than one tensor is in memory at a time.

The files are sparse: they have their length, but hardly a block on the disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from stonnx.checkpoint import SourceFolder, Weights
from stonnx.errors import CheckpointError

MIB = 2**20
ITEM_BYTES = {"F32": 4, "BF16": 2, "F16": 2, "I8": 1}


def write_sparse(path: Path, tensors: list[tuple[str, str, int, bytes]]) -> None:
    """A safetensors file of (name, type, numbers, bytes at the end of the tensor); the rest is a hole of zeros."""
    header, end = {}, 0
    for name, code, count, _ in tensors:
        size = count * ITEM_BYTES[code]
        header[name] = {"dtype": code, "shape": [count], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
        for name, _, _, tail in tensors:
            stream.seek(8 + len(text) + header[name]["data_offsets"][1] - len(tail))  # type: ignore[index]
            stream.write(tail)


def mark(*values: float) -> bytes:
    return np.float32(values).tobytes()


@pytest.fixture
def folder(tmp_path):
    return SourceFolder(path=tmp_path, name="model", revision=None)


LARGE = [
    ("first", "F32", 4, mark(1, 2, 3, 4)),
    ("filler.0", "I8", 2**31, b""),
    ("beyond_2_31", "F32", 3, mark(5, 6, 7)),
    ("filler.1", "I8", 2**31, b""),
    ("beyond_2_32", "F16", 2, np.float16([8, 9]).tobytes()),
    ("last", "BF16", 2, (np.float32([10, 11]).view(np.uint32) >> 16).astype(np.uint16).tobytes()),
]


def check(weights):
    assert weights.get("first").tolist() == [1, 2, 3, 4]
    assert weights.get("beyond_2_31").tolist() == [5, 6, 7]
    assert weights.get("beyond_2_32").tolist() == [8, 9]
    assert weights.get("last").tolist() == [10, 11]
    assert weights.shape("filler.1") == (2**31,)


def test_offsets_beyond_32_bits(folder):
    write_sparse(folder.path / "model.safetensors", LARGE)
    assert (folder.path / "model.safetensors").stat().st_size > 2**32
    with Weights.open(folder) as weights:
        check(weights)


def test_a_large_shard_beside_a_small_one(folder):
    write_sparse(folder.path / "model-00001-of-00002.safetensors", LARGE[:3])
    write_sparse(folder.path / "model-00002-of-00002.safetensors", LARGE[3:])
    places = {name: f"model-0000{1 + (at > 2)}-of-00002.safetensors" for at, (name, *_) in enumerate(LARGE)}
    index = {"metadata": {"total_size": 2**32 + 40}, "weight_map": places}
    (folder.path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with Weights.open(folder) as weights:
        check(weights)


def test_a_large_file_that_ends_early_is_refused(folder):
    path = folder.path / "model.safetensors"
    write_sparse(path, LARGE)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 1)
    with pytest.raises(CheckpointError, match="damaged or incomplete"):
        Weights.open(folder)


MEASURE = """
    import resource, sys
    from pathlib import Path

    import numpy as np
    from stonnx.checkpoint import SourceFolder, Weights

    def peak_mib():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    with Weights.open(SourceFolder(path=Path(sys.argv[1]), name="model", revision=None)) as weights:
        weights.get("warm")
        before = peak_mib()
        for name in weights.names()[::4]:
            assert weights.get(name)[-1] == 3, name
            assert sys.argv[2] == weights.stored(name).dtype
        print(peak_mib() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize(("code", "dtype", "most_mib"), [("F32", "float32", 80), ("BF16", "bfloat16", 144)])
def test_reading_holds_about_the_largest_tensor(folder, code, dtype, most_mib):
    """3 GiB in tensors of 32 MiB: as float32 one has 32 or 64 MiB, and some more pages of the file may be there."""
    count, tail = 32 * MIB // ITEM_BYTES[code], mark(3)[-ITEM_BYTES[code] :]
    tensors = [(f"t{n:02}", code, count, tail) for n in range(96)]
    write_sparse(folder.path / "model.safetensors", [*tensors, ("warm", code, 2, mark(3)[-ITEM_BYTES[code] :])])
    assert (folder.path / "model.safetensors").stat().st_size > 3 * 2**30
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(folder.path), dtype]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(run.stdout) < most_mib
