"""Runs where the wheel was installed with the extra ``cpu`` alone: everything works without torch.

``check_wheel.sh`` calls it; it is a program and not a test, because the test suite's own
environment has everything installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path

ABSENT = ("torch", "transformers", "sentence_transformers", "optimum")
PACKAGE_DATA = ("py.typed", "verify/probes.json")
TEXTS = ["今天是周五啦，明天就是周末啦，开心，开心，开心", "A first text.", "", "a much longer text, " * 60]
STONNX = Path(sysconfig.get_path("scripts")) / "stonnx"
TOLERANCE = 2e-6  # on vectors of unit length; what verification allows


class CheckError(Exception):
    """The wheel does not do what it must."""


def expect(condition: object, message: str) -> None:
    """Fail with ``message`` unless ``condition`` holds."""
    if not condition:
        raise CheckError(message)


def stonnx(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the installed command, and insist on its exit code."""
    done = subprocess.run([STONNX, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    line = f"stonnx {' '.join(Path(word).name if Path(word).is_absolute() else word for word in words)}"
    expect(done.returncode == code, f"{line}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    print(f"  ok, exit code {code}: {line[:80]}")
    return done


def check_environment() -> None:
    """The wheel is what runs, with its data, and the original model's side is not there."""
    present = [name for name in ABSENT if importlib.util.find_spec(name) is not None]
    expect(not present, f"installed although nothing of ours may need it: {present}")
    package = Path(str(resources.files("stonnx")))
    expect(sys.prefix in str(package), f"stonnx is imported from {package}, not from {sys.prefix}")
    missing = [name for name in PACKAGE_DATA if not package.joinpath(name).is_file()]
    expect(not missing, f"not in the wheel: {missing}")
    expect(any((package / "bench").glob("*.json")), "not in the wheel: bench/*.json")


def check_convert(model: Path, out: Path) -> None:
    """Converting works, says that nobody compared the result, and names the extra that would."""
    done = stonnx("convert", str(model), str(out))
    said = done.stdout + done.stderr
    expect("unverified" in said.lower(), f"convert does not say that the artifact is unverified:\n{said}")
    expect("stonnx[reference]" in said, f"convert does not name the extra that verifies:\n{said}")
    info = json.loads(stonnx("info", str(out), "--check", "--json").stdout)
    expect(info["manifest"]["verified"] is False, "info says that the artifact is verified")
    stonnx("convert", str(model), str(out), code=2)


def check_verify(verified: Path, unverified: Path, model: Path) -> None:
    """Goldens are verified without torch; the original model's side is an extra that is named."""
    report = json.loads(stonnx("verify", str(verified), "--json").stdout)
    expect(report["passed"] is True, f"verify did not pass: {report}")
    expect(len(report["variants"]) == 2, f"verify did not look at both variants: {report}")
    done = stonnx("verify", str(unverified), "--against", str(model), code=4)
    expect('pip install "stonnx[reference]"' in done.stderr, f"no pip line in: {done.stderr}")


def check_encode(verified: Path, unverified: Path) -> None:
    """Vectors of the artifact converted here are those of the one that was verified elsewhere."""
    import numpy as np

    from stonnx import Artifact, Encoder
    from stonnx.artifact import Goldens

    goldens = Artifact.open(verified).goldens()
    if not isinstance(goldens, Goldens):
        raise CheckError(f"{verified} carries no goldens")
    ours = Encoder.load(unverified).encode(goldens.texts, normalize=True)
    golden = goldens.vectors / np.linalg.norm(goldens.vectors, axis=1, keepdims=True)
    difference = float(np.abs(ours - golden).max())
    expect(difference <= TOLERANCE, f"vectors are {difference:g} away from the original's")
    print(f"  ok: {len(goldens.texts)} texts, at most {difference:.1e} away from the original's vectors")

    lines = stonnx("encode", str(unverified), "--json", *TEXTS).stdout.splitlines()
    printed = np.array([json.loads(line)["embedding"] for line in lines], np.float32)
    expected = Encoder.load(verified).encode(TEXTS)
    difference = float(np.abs(printed - expected).max())
    expect(difference <= TOLERANCE, f"what the command prints is {difference:g} away from what the class gives")


def main() -> int:
    """Run the checks; the exit code is 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--verified", type=Path, required=True, help="artifact with goldens, made elsewhere")
    args = parser.parse_args()
    try:
        check_environment()
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "unverified"
            check_convert(args.model, out)
            check_encode(args.verified, out)
            check_verify(args.verified, out, args.model)
        present = sorted(set(ABSENT) & set(sys.modules))
        expect(not present, f"loaded: {present}")
    except CheckError as error:
        print(f"check_wheel: {error}", file=sys.stderr)
        return 1
    print("The wheel converts, verifies and encodes without PyTorch.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
