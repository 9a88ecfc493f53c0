"""docs/cli.md is what the parsers say."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stonnx.bench import BenchReport
from stonnx.tune import TuneReport
from stonnx.verify import Report

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "cli_reference.py"
PAGE = REPOSITORY / "docs" / "cli.md"


def _fields(report):
    return {field.name for field in dataclasses.fields(report)}


def test_the_reference_is_up_to_date():
    result = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("verb", "keys"),
    [
        ("verify", {*_fields(Report), "passed", "class_bounds"}),
        ("bench", _fields(BenchReport)),
        ("tune", {*_fields(TuneReport), "written"} - {"picked", "on_frontier"}),  # a row says so
    ],
)
def test_the_keys_of_a_report_are_all_named(verb, keys):
    (row,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{verb}` | `"))
    assert set(re.findall(r"`(\w+)`", row)) - {verb} == keys
