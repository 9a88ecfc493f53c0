"""Work folders: gone with their process, cleared after a killed one, never touched while their process lives."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stonnx import _workplace, _writing
from stonnx._io import write_json
from stonnx._workplace import clear_stale, workplace
from stonnx._writing import check_folder_target, staged_file, staged_folder
from stonnx.errors import RunError, UsageError

# In each of these a process stops amid its work, says so, and waits.
STAGES = {
    "a file": """
with staged_file(Path("out"), force=True) as stream:
    stream.write(b"half")
    wait()
""",
    "a new folder": """
with staged_folder(Path("out"), force=True, foreign=nothing) as staging:
    (staging / "half").touch()
    wait()
""",
    "between the two renames": """
_writing._exchange = lambda one, other: False
rename = os.rename
def stop_in_between(source, target):
    if Path(target) == Path("out"):
        wait()
    rename(source, target)
os.rename = stop_in_between
with staged_folder(Path("out"), force=True, foreign=nothing) as staging:
    (staging / "new.txt").write_text("new")
""",
    "after the swap": """
def exchange(work, out):
    shutil.move(out, work / "old")
    shutil.move(work / "new", out)
    wait()
_writing._swap = exchange
with staged_folder(Path("out"), force=True, foreign=nothing) as staging:
    (staging / "new.txt").write_text("new")
""",
    "before there is a lock": """
Path(".out.stonnx-abcdefgh").mkdir()
wait()
""",
}
PREAMBLE = """
import os, shutil, sys
from pathlib import Path
from stonnx import _writing
from stonnx._writing import staged_file, staged_folder
def nothing(folder):
    return iter(())
def wait():
    print("ready", flush=True)
    sys.stdin.readline()
"""


def nothing(folder):
    return iter(())


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    # A relative PYTHONPATH would not survive the next line in subprocesses.
    monkeypatch.setenv("PYTHONPATH", str(Path(_workplace.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def old_folder(name="out"):
    Path(name).mkdir()
    (Path(name) / "old.txt").write_text("old")


def stopped_process(stage):
    command = [sys.executable, "-c", PREAMBLE + STAGES[stage]]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_killed_process_left_is_cleared_by_the_next(stage):
    if stage != "a file":
        old_folder()
    kill(stopped_process(stage))
    assert len(names()) == 2 - (stage in ("a file", "between the two renames"))
    clear_stale(Path("out"))
    assert names() == ([] if stage == "a file" else ["out"])
    if stage != "a file":
        assert names("out") == (["new.txt"] if stage == "after the swap" else ["old.txt"])


@pytest.mark.parametrize("stage", ["a file", "a new folder"])
def test_what_a_living_process_makes_is_never_touched(stage):
    process = stopped_process(stage)
    before = names()
    assert len(before) == 1
    clear_stale(Path("out"))
    with staged_folder(Path("out2"), force=False, foreign=nothing):
        pass
    with workplace(Path("out")):
        pass
    assert names() == [*before, "out2"]
    process.communicate("go on\n", timeout=60)
    assert process.returncode == 0
    assert names() == ["out", "out2"]


@pytest.mark.parametrize(
    "decide", [check_folder_target, lambda out, **options: staged_folder(out, **options).__enter__()]
)
def test_a_folder_that_was_moved_away_is_back_before_anything_is_decided(decide, caplog):
    old_folder()
    kill(stopped_process("between the two renames"))
    assert not Path("out").exists()
    with pytest.raises(UsageError, match="exists already"):
        decide(Path("out"), force=False, foreign=nothing)
    assert (names(), names("out")) == (["out"], ["old.txt"])
    assert "out was put back" in caplog.text


def leave_dead(kernel, *, hours):
    """A work folder as a killed process of some kernel leaves it."""
    work = Path(".out.stonnx-abcdefgh")
    (work / "new").mkdir(parents=True)
    lock = work / "lock"
    lock.write_text(kernel)
    seconds = lock.stat().st_mtime - 3600 * hours
    os.utime(lock, (seconds, seconds))


@pytest.mark.parametrize(
    ("kernel", "hours", "cleared"),
    [
        (_workplace._kernel(), 0, True),
        ("another", 1, False),  # its lock may be one that is not seen here
        ("another", 25, True),
        (_workplace._NO_LOCKS, 25, False),
    ],
)
def test_other_hosts_get_a_day(kernel, hours, cleared):
    leave_dead(kernel, hours=hours)
    clear_stale(Path("out"))
    assert names() == ([] if cleared else [".out.stonnx-abcdefgh"])


@pytest.mark.parametrize("name", [".out.stonnx-mine", ".out.stonnx-abcdefgh.bak", ".out.partial-abcdefgh", ".other.x"])
def test_what_is_not_a_work_folder_is_nobodys_to_clear(name):
    Path(name).mkdir()
    clear_stale(Path("out"))
    assert names() == [name]


def test_a_link_with_the_name_of_a_work_folder_is_not_followed():
    Path("mine").mkdir()
    Path("mine/lock").touch()
    Path("mine/new").touch()
    Path(".out.stonnx-abcdefgh").symlink_to("mine")
    clear_stale(Path("out"))
    assert names("mine") == ["lock", "new"]


def test_an_older_folder_with_a_file_of_the_users_is_kept(caplog):
    """The file came in after the last look, and the process was killed before the next."""
    old_folder()
    kill(stopped_process("after the swap"))
    clear_stale(Path("out"), foreign=lambda folder: iter(["old.txt"]))
    (work,) = (Path(name) for name in names() if name != "out")
    assert (work / "old" / "old.txt").read_text() == "old"
    assert f"{work}/old is kept: it holds old.txt" in caplog.text


def test_without_locks_nothing_is_cleared_and_all_else_works(monkeypatch):
    def no_locks(lock):
        raise OSError(errno.ENOSYS, "Function not implemented")

    leave_dead(_workplace._kernel(), hours=100)
    monkeypatch.setattr(_workplace, "_try_lock", no_locks)
    with staged_file(Path("out"), force=False) as stream:
        stream.write(b"whole")
        work = next(path for path in Path().iterdir() if path.name != ".out.stonnx-abcdefgh")
        assert (work / "lock").read_text() == _workplace._NO_LOCKS
    assert names() == [".out.stonnx-abcdefgh", "out"]


def test_a_work_folder_that_was_taken_for_a_dead_one_is_made_anew(monkeypatch):
    real, calls = os.open, []

    def open_after_a_clearing(path, *args, **options):
        if not calls:
            calls.append(path)
            shutil.rmtree(Path(path).parent)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", open_after_a_clearing)
    with workplace(Path("out")) as work:
        assert work != calls[0].parent
        assert names(work) == ["lock"]
    assert names() == []


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_with_and_without_the_kernels_help(monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(_writing, "_exchange", lambda one, other: False)
    old_folder()
    with staged_folder(Path("out"), force=True, foreign=nothing) as staging:
        (staging / "new.txt").write_text("new")
    assert (names(), names("out")) == (["out"], ["new.txt"])


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_rename_that_fails_leaves_the_older_folder_where_it_was(monkeypatch, failing):
    """Any of the four, where the kernel does not exchange."""
    monkeypatch.setattr(_writing, "_exchange", lambda one, other: False)
    rename, calls = os.rename, []

    def refuse(source, target):
        calls.append(source)
        if len(calls) == failing:
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    old_folder()
    monkeypatch.setattr(os, "rename", refuse)
    with (
        pytest.raises(RunError, match=r"Input/output error. Nothing was left behind\."),
        staged_folder(Path("out"), force=True, foreign=nothing) as staging,
    ):
        (staging / "new.txt").write_text("new")
    assert (names(), names("out")) == (["out"], ["old.txt"])


def test_what_could_not_be_put_back_is_kept_and_told(monkeypatch, caplog):
    monkeypatch.setattr(_writing, "_exchange", lambda one, other: False)
    rename = os.rename

    def refuse(source, target):
        if Path(target) == Path("out"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    old_folder()
    monkeypatch.setattr(os, "rename", refuse)
    with (
        pytest.raises(RunError, match=r"Input/output error. \.out\.stonnx-\w{8} was left behind\."),
        staged_folder(Path("out"), force=True, foreign=nothing),
    ):
        pass
    (work,) = names()
    assert names(Path(work) / "old") == ["old.txt"]
    monkeypatch.undo()


def test_what_cannot_be_removed_is_told(monkeypatch):
    def refuse(place):
        raise KeyboardInterrupt

    monkeypatch.setattr(_workplace, "_remove", refuse)
    with pytest.raises(KeyboardInterrupt) as caught, workplace(Path("out")) as work:
        raise ZeroDivisionError
    assert caught.value.__notes__ == [f"{work} was left behind"]


def test_the_usual_permissions(monkeypatch):
    before = os.umask(0o027)
    try:
        with staged_folder(Path("out"), force=False, foreign=nothing) as staging:
            write_json(staging / "a.json", {})
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o777) for path in (Path("out"), Path("out/a.json"))] == ["0o750", "0o640"]


def test_a_json_file_behind_a_link_is_written_through_it():
    Path("real.json").write_text("old")
    Path("link.json").symlink_to("real.json")
    write_json(Path("link.json"), 1)
    assert Path("link.json").is_symlink()
    assert Path("real.json").read_text() == "1\n"
    assert names() == ["link.json", "real.json"]


def test_a_success_says_nothing(caplog):
    with caplog.at_level(logging.DEBUG):
        write_json(Path("a.json"), 1)
        write_json(Path("a.json"), 2)
    assert caplog.text == ""
    assert names() == ["a.json"]


def test_two_that_write_the_same_file_do_not_disturb_each_other():
    with staged_file(Path("out"), force=True) as one, staged_file(Path("out"), force=True) as other:
        one.write(b"one")
        other.write(b"other")
    assert Path("out").read_bytes() == b"one"
    assert names() == ["out"]


def test_a_name_taken_at_the_last_moment_is_not_replaced(monkeypatch):
    checks = []

    def look(path, target, *, force):
        checks.append(path)
        if len(checks) == 2:
            target.write_bytes(b"precious")

    monkeypatch.setattr(_writing, "_mode_to_keep", look)
    with pytest.raises(UsageError, match="appeared meanwhile"), staged_file(Path("out"), force=False) as one:
        one.write(b"one")
    assert Path("out").read_bytes() == b"precious"
    assert names() == ["out"]
