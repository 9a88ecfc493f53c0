"""A few kills of every verb that writes; ``make kill-test`` makes many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stonnx

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "kill_test.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convert", "convert-force", "quantize", "encode", "tune"])
def test_a_killed_command_loses_nothing_and_the_next_leaves_nothing(name):
    pytest.importorskip("onnxruntime")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--moments", "2", "--seed", "7", name],
        env={**os.environ, "PYTHONPATH": str(Path(stonnx.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{name}: 2 moments")
    assert " killed, " in done.stdout
