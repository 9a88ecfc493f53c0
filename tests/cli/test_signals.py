"""What a signal does to a command, at whatever moment it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stonnx.cli import main
from stonnx.testing import make_tiny_model

INTERRUPTED = "interrupted; nothing half-written was left behind\n"

# Runs a command in whose middle something else happens.
WITH_HOOK = """
import sys
from pathlib import Path
import stonnx.compile.run as run
from stonnx.cli import main
real = run.read_model
def read_model(folder):
    assert any(path.name.startswith(".out.") for path in Path().iterdir())
    print("ready", flush=True)
    {what}
    return real(folder)
run.read_model = read_model
sys.exit(main(["convert", "source", "out", "--no-verify", "--no-int8", "--quiet", "--json"]))
"""


def start(what, **options):
    command = [sys.executable, "-c", WITH_HOOK.format(what=what)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def names():
    return sorted(path.name for path in Path().iterdir())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_ends_a_command_leaves_nothing(number):
    make_tiny_model("source")
    process = start("sys.stdin.read()")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert names() == ["source"]


def test_under_nohup_a_closed_terminal_ends_nothing():
    make_tiny_model("source")
    process = start("sys.stdin.readline()", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.communicate("go on\n", timeout=60)
    assert process.returncode == 0
    assert names() == ["out", "source"]


def test_a_second_signal_does_not_disturb_the_cleaning_up(monkeypatch, capsys):
    def run(args):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)
            Path("cleaned").touch()

    monkeypatch.setattr("stonnx.cli.info.run", run)
    with pytest.raises(SystemExit) as stop:
        main(["info", "X"])
    assert stop.value.code == 128 + signal.SIGTERM
    assert names() == ["cleaned"]


def test_handlers_are_given_back(capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    main(["--version"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


# Stops an import as Ctrl-C at that moment would.
STOP_IMPORT = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["stonnx", "encode", "nowhere", "x"]
"""
ENTRIES = {
    "console script": "from stonnx.cli import main\nsys.exit(main())",
    "python -m": "import runpy\nrunpy.run_module('stonnx', run_name='__main__', alter_sys=True)",
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("module", ["stonnx.cli._main", "argparse", "stonnx.cli._exit", "stonnx.cli.encode", "numpy"])
def test_an_early_ctrl_c_is_told_like_a_late_one(module, entry):
    code = STOP_IMPORT.format(module=module) + ENTRIES[entry]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", INTERRUPTED)


def test_an_interrupt_that_an_import_turned_into_another_error_is_still_one(monkeypatch, capsys):
    def run(args):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            error = ImportError("initialization failed")
            error.add_note("v.npy got a part of the array at most")
            raise error from None

    monkeypatch.setattr("stonnx.cli.info.run", run)
    assert main(["info", "X"]) == 130
    assert capsys.readouterr().err == "interrupted; v.npy got a part of the array at most\n"


def test_so_is_a_termination(monkeypatch, capsys):
    def run(args):
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("stonnx.cli.info.run", run)
    assert main(["info", "X"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == ""
