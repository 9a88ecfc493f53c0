"""``stonnx encode --output``: where an array may go, and that nothing is lost or left on the way."""

from __future__ import annotations

import io
import json
import os
import resource
import stat
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from stonnx.cli import encode, main
from stonnx.testing import make_tiny_model


def piped(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.fixture
def nothing_loads(fake_encoder, monkeypatch):
    monkeypatch.setattr(fake_encoder, "load", lambda *args, **options: pytest.fail("loaded"))


def test_an_array_file(fake_encoder, capsys):
    assert main(["encode", "A", "ab", "abc", "--output", "v.npy"]) == 0
    assert capsys.readouterr().out == "v.npy: 2 texts, 4 components each, float32\n"
    vectors = np.load("v.npy", allow_pickle=False)
    assert (vectors.dtype, vectors.shape, vectors[1, 0]) == (np.float32, (2, 4), 3)
    assert [path.name for path in Path().iterdir()] == ["v.npy"]


def test_an_array_file_as_json(fake_encoder, capsys):
    assert main(["encode", "A", "ab", "--truncate-dim", "3", "--output", "v.npy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "output": "v.npy",
        "texts": 1,
        "dimension": 3,
        "dtype": "float32",
        "truncated_texts": 0,
    }


def test_no_texts_make_an_empty_array(fake_encoder, capsys, monkeypatch):
    piped(monkeypatch, "")
    assert main(["encode", "A", "--output", "v.npy"]) == 0
    assert np.load("v.npy").shape == (0, 4)


@pytest.mark.parametrize("count", [1, 3, 9, 10, 11, 1234])
def test_many_chunks_make_the_very_file_that_numpy_writes(fake_encoder, capsys, monkeypatch, count):
    monkeypatch.setattr(encode, "_CHUNK_TEXTS", 3)
    piped(monkeypatch, "".join(f"{'x' * (n % 7)}\n" for n in range(count)))
    assert main(["encode", "A", "--output", "v.npy"]) == 0
    whole = io.BytesIO()
    np.save(whole, fake_encoder.last.encode(["x" * (n % 7) for n in range(count)]))
    assert Path("v.npy").read_bytes() == whole.getvalue()


def test_rows_go_to_the_disk_as_they_come(fake_encoder, capsys, monkeypatch):
    """However many texts there are, no more than two chunks of vectors live at a time."""
    living, most, on_disk = [], [], []
    real = fake_encoder.encode

    def counted(self, texts, **options):
        living[:] = [one for one in living if one() is not None]
        most.append(len(living))
        on_disk.append(sum(path.stat().st_size for path in Path().rglob("*") if path.is_file()))
        vectors = np.repeat(real(self, texts, **options), 1000, axis=1)
        living.append(weakref.ref(vectors))
        return vectors

    monkeypatch.setattr(fake_encoder, "encode", counted)
    monkeypatch.setattr(encode, "_CHUNK_TEXTS", 10)
    piped(monkeypatch, "x\n" * 200)
    assert main(["encode", "A", "--output", "v.npy"]) == 0
    assert len(most) == 20
    assert max(most) <= 2
    assert on_disk[-1] > 17 * 10 * 4000 * 4
    assert np.load("v.npy").shape == (200, 4000)


def test_an_array_file_is_not_overwritten_unless_told(fake_encoder, capsys):
    Path("v.npy").write_text("precious")
    Path("v.npy").chmod(0o600)
    assert main(["encode", "A", "x", "--output", "v.npy"]) == 2
    assert Path("v.npy").read_text() == "precious"
    assert "--force" in capsys.readouterr().err
    assert main(["encode", "A", "x", "--output", "v.npy", "--force"]) == 0
    assert np.load("v.npy").shape == (1, 4)
    assert stat.S_IMODE(Path("v.npy").stat().st_mode) == 0o600
    assert [path.name for path in Path().iterdir()] == ["v.npy"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(fake_encoder, capsys, monkeypatch):
    real = fake_encoder.encode

    def encode_beside_somebody_else(self, texts, **options):
        Path("v.npy").write_text("precious")
        return real(self, texts, **options)

    monkeypatch.setattr(fake_encoder, "encode", encode_beside_somebody_else)
    assert main(["encode", "A", "x", "--output", "v.npy"]) == 2
    assert Path("v.npy").read_text() == "precious"
    assert [path.name for path in Path().iterdir()] == ["v.npy"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("missing/v.npy", "missing does not exist"),
        (".", "is a folder"),
        ("", "is a folder"),
        ("file/v.npy", "Not a directory"),
        ("x" * 256, "File name too long"),
        ("to-nowhere.npy", "missing does not exist"),
        ("circle.npy", "symbolic links"),
        ("socket", "not a regular file"),
        ("/dev/null", "not a regular file"),
    ],
)
def test_an_impossible_place_is_told_before_any_work(nothing_loads, capsys, target, message, tmp_path):
    import socket

    Path("file").write_text("precious")
    Path("to-nowhere.npy").symlink_to("missing/v.npy")
    Path("circle.npy").symlink_to("circle.npy")
    with socket.socket(socket.AF_UNIX) as node:
        node.bind("socket")
        before = {path.name: path.lstat().st_mode for path in tmp_path.iterdir()}
        assert main(["encode", "A", "x", "--output", target, "--force"]) in (2, 6)
    assert message in capsys.readouterr().err
    assert {path.name: path.lstat().st_mode for path in tmp_path.iterdir()} == before
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_the_texts_are_not_overwritten(nothing_loads, capsys):
    Path("texts.txt").write_text("precious\n")
    Path("link.txt").symlink_to("texts.txt")
    assert main(["encode", "A", "--file", "texts.txt", "--output", "link.txt", "--force"]) == 2
    assert "file of the texts" in capsys.readouterr().err
    assert Path("texts.txt").read_text() == "precious\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told_before_any_work(nothing_loads, capsys):
    Path("locked").mkdir(mode=0o555)
    assert main(["encode", "A", "x", "--output", "locked/v.npy"]) == 6
    assert "Permission denied" in capsys.readouterr().err


def test_a_read_only_file_system_is_told_before_any_work(nothing_loads, capsys, monkeypatch):
    def refuse(*args, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("stonnx._workplace.tempfile.mkdtemp", refuse)
    assert main(["encode", "A", "x", "--output", "v.npy"]) == 6
    assert "Read-only file system" in capsys.readouterr().err


def test_a_longest_name_is_fine(fake_encoder, capsys):
    name = "x" * 251 + ".npy"
    assert main(["encode", "A", "x", "--output", name]) == 0
    assert [path.name for path in Path().iterdir()] == [name]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_full_disk_leaves_what_was_there(fake_encoder, capsys, monkeypatch, force):
    if force:
        Path("v.npy").write_text("precious")
    piped(monkeypatch, "x\n" * 10_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
    try:
        assert main(["encode", "A", "--output", "v.npy", *force]) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "v.npy cannot be written: File too large" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == ([("v.npy", "precious")] if force else [])


def test_links_stay_and_what_they_lead_to_is_written(fake_encoder, capsys):
    Path("data").mkdir()
    Path("data/old.npy").write_text("old")
    Path("old.npy").symlink_to("data/old.npy")
    Path("dangling.npy").symlink_to("data/new.npy")
    assert main(["encode", "A", "x", "--output", "old.npy"]) == 2
    assert Path("data/old.npy").read_text() == "old"
    assert main(["encode", "A", "x", "--output", "old.npy", "--force"]) == 0
    assert main(["encode", "A", "x", "--output", "dangling.npy"]) == 0
    assert Path("old.npy").is_symlink()
    assert Path("dangling.npy").is_symlink()
    assert np.load("data/old.npy").shape == np.load("data/new.npy").shape == (1, 4)
    assert sorted(path.name for path in Path("data").iterdir()) == ["new.npy", "old.npy"]


def test_a_named_pipe_gets_the_array_and_stays_a_pipe(fake_encoder, capsys):
    os.mkfifo("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    assert main(["encode", "A", "x", "abc", "--output", "pipe"]) == 0
    reader.join(60)
    assert np.load(io.BytesIO(got[0])).shape == (2, 4)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert [path.name for path in Path().iterdir()] == ["pipe"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_stdout_gets_the_array_and_nothing_else(fake_encoder, capsysbinary, options):
    assert main(["encode", "A", "x", "--output", "/dev/stdout", *options]) == 0
    out, err = capsysbinary.readouterr()
    assert np.load(io.BytesIO(out)).shape == (1, 4)
    assert err == b"/dev/stdout: 1 text, 4 components each, float32\n"


def test_a_terminal_gets_no_array(nothing_loads, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["encode", "A", "x", "--output", "/dev/stdout"]) == 2
    assert "is a terminal" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()])
def test_what_json_lines_got_is_told_when_the_rest_does_not_come(fake_encoder, capsys, monkeypatch, error):
    real = fake_encoder.encode

    def fail_at_the_end(self, texts, **options):
        if self.calls:
            raise error
        return real(self, texts, **options)

    monkeypatch.setattr(fake_encoder, "encode", fail_at_the_end)
    monkeypatch.setattr(encode, "_CHUNK_TEXTS", 2)
    assert main(["encode", "A", "a", "b", "c"]) == (130 if isinstance(error, KeyboardInterrupt) else 1)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "stdout got 2 embeddings, not all" in err
    assert "left behind" not in err


@pytest.mark.slow
def test_the_real_thing_through_a_redirected_stdout(tmp_path):
    from stonnx.compile import convert

    pytest.importorskip("onnxruntime")
    convert(make_tiny_model(tmp_path / "source"), tmp_path / "out", verify=False, int8=False)
    command = [sys.executable, "-m", "stonnx", "encode", "out", "a", "b", "--output", "/dev/stdout"]
    with open("v.npy", "wb") as redirected:
        subprocess.run(command, stdout=redirected, check=True)
    assert np.load("v.npy").shape == (2, 32)
