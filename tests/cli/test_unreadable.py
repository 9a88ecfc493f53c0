"""What may not be read is called that, whatever file or folder it is and whichever verb meets it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from stonnx.cli import main
from stonnx.testing import TinyModel, make_tiny_model

pytest.importorskip("onnxruntime")

# Runs the commands in one process, and prints the exit code and stderr of each.
_RUN = """
import contextlib, io, json, sys
from stonnx.cli import main
results = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
        code = main([*arguments, "--quiet"])
    results.append([code, err.getvalue()])
print(json.dumps(results))
"""


def as_an_ordinary_user():
    """The words before a command that take the right away from root to read everything; none for others."""
    if not hasattr(os, "geteuid") or os.name == "nt":
        pytest.skip("no permission bits here")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and there is no setpriv to change that")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def here(tmp_path):
    make_tiny_model(tmp_path / "model", TinyModel())
    assert main(["convert", "model", "art", "--no-verify", "--no-int8", "--quiet"]) == 0
    (tmp_path / "texts.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "pairs.tsv").write_text("a\tb\t1\nc\td\t2\n", encoding="utf-8")
    yield tmp_path
    for path in sorted(tmp_path.rglob("*")):  # or pytest could not tidy up
        path.chmod(0o755)


def test_unreadable(here, capsys):
    cases = []

    def case(closed, mode, code, *arguments):
        """A command, with a copy of what it reads, of which one part is closed."""
        top, _, inner = closed.partition("/")
        copy = here / f"{len(cases)}-{top}"
        (shutil.copytree if (here / top).is_dir() else shutil.copy)(here / top, copy)
        ((copy / inner) if inner else copy).chmod(mode)
        cases.append((copy.name, code, [copy.name if word == top else word for word in arguments]))

    for mode in (0o000, 0o444, 0o666):  # not to be searched, though 0o444 may be listed
        case("art", mode, 3, "info", "art")
        case("model", mode, 3, "convert", "model", "out", "--no-verify")
    case("art", 0o000, 3, "encode", "art", "text")
    case("art/stonnx.json", 0o000, 3, "info", "art")
    case("art/onnx", 0o000, 3, "info", "art")
    case("art/onnx/model.onnx_data", 0o000, 3, "encode", "art", "text")
    case("art/tokenizer.json", 0o000, 3, "encode", "art", "text")
    case("model", 0o111, 3, "convert", "model", "out", "--no-verify")  # not to be listed
    for name in ("config.json", "modules.json", "model.safetensors", "tokenizer.json", "vocab.txt", "1_Pooling"):
        case(f"model/{name}", 0o000, 3, "convert", "model", "out", "--no-verify")
    case("texts.txt", 0o000, 2, "encode", "art", "--file", "texts.txt")
    case("texts.txt", 0o000, 2, "tune", "art", "--texts", "texts.txt")
    case("texts.txt", 0o000, 2, "bench", "art", "--texts", "texts.txt")
    case("texts.txt", 0o000, 2, "verify", "art", "--texts", "texts.txt")
    case("pairs.tsv", 0o000, 2, "verify", "art", "--pairs", "pairs.tsv")
    case("texts.txt", 0o000, 2, "convert", "model", "out", "--calibrate", "texts.txt")
    command = [*as_an_ordinary_user(), sys.executable, "-c", _RUN]
    commands = json.dumps([arguments for _, _, arguments in cases])
    done = subprocess.run(command, input=commands, capture_output=True, text=True, check=True, timeout=120)
    for (name, code, arguments), (found, err) in zip(cases, json.loads(done.stdout), strict=True):
        assert (found, err.count("\n")) == (code, 1), f"{arguments}: {err}"
        assert err.startswith((f"error: {name}", f"error: {here / name}")), err
        assert err.endswith(" cannot be read: Permission denied.\n"), err
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "art", "--file", "art"],
        ["tune", "art", "--texts", "art"],
        ["verify", "art", "--texts", "art"],
        ["verify", "art", "--pairs", "art"],
    ],
)
def test_a_folder_in_place_of_a_file(artifact, capsys, arguments):
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith("error: art cannot be read: Is a directory.\n")
