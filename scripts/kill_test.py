"""Kill what writes (convert, quantize, tune, encode) at random moments, and see that nothing is lost or left.

    python scripts/kill_test.py [--moments N] [--seed N] [NAME ...]

A moment is the one before a random change to the file system (of those that the command makes), or a random time.
The command is killed there with SIGKILL. Then every file of the user's must be as it was, and what the command was
to write must be there whole, old or new. Then the command runs again, undisturbed: nothing but its result may be
left beside it. Exits with 1 if anything is not so.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stonnx.artifact import TUNE_FOLDER, Artifact
from stonnx.artifact.strict_json import read_strict_json
from stonnx.errors import StonnxError
from stonnx.testing import make_tiny_model

# Runs `stonnx ARGUMENTS`, and kills itself before the change to the file system whose number it was given;
# without one, 0, it writes how many changes there were.
_CHILD = """
import os, signal, sys
from stonnx.cli import main
at, changes = int(sys.argv[1]), 0
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.chmod", "shutil.copyfile"}
def watch(event, arguments):
    global changes
    if event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        changes += 1
        if changes == at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.dont_write_bytecode = True
sys.addaudithook(watch)
code = main(sys.argv[2:])
if not at:
    print(changes, file=sys.stderr)
sys.exit(code)
"""

State = str  # "old", "new", "missing", or what is wrong


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A command, and how to tell what it has written.

    Attributes:
        arguments: The command; it runs in a folder with ``source``, ``artifact``, ``texts.txt`` and ``notes.txt``.
        before: Puts the target into the state from which the command starts.
        state: Says in which state the target is.
        allowed: The states in which a killed command may leave it.
        target: What the command writes: all else must stay as it was.
    """

    arguments: tuple[str, ...]
    before: Callable[[], None]
    state: Callable[[], State]
    allowed: frozenset[State]
    target: Path


_CONVERT = ("convert", "source", "out", "--no-verify", "--no-int8", "--quiet", "--json", "--force")
_OUT, _VECTORS, _CHOICES = Path("out"), Path("vectors.npy"), Path("artifact") / TUNE_FOLDER
_OLD_VECTORS = b"vectors of an earlier day"
_TEXTS = 6000


def _no_out() -> None:
    shutil.rmtree(_OUT, ignore_errors=True)


def _old_out() -> None:
    _no_out()
    shutil.copytree("artifact", _OUT, ignore=shutil.ignore_patterns(TUNE_FOLDER))
    (_OUT / TUNE_FOLDER).mkdir()  # marks the older one: a new artifact has none


def _out_state() -> State:
    if not _OUT.exists():
        return "missing"
    try:
        artifact = Artifact.open(_OUT)
        artifact.check_files()
    except StonnxError as error:
        return f"broken: {error.message}"
    listed = {entry.path for entry in artifact.manifest.files} | {"stonnx.json"}
    found = {path.relative_to(_OUT).as_posix() for path in _OUT.rglob("*") if path.is_file()}
    if found != listed:
        return f"broken: {sorted(found ^ listed)}"
    return "old" if (_OUT / TUNE_FOLDER).exists() else "new"


def _old_vectors() -> None:
    _VECTORS.write_bytes(_OLD_VECTORS)


def _vectors_state() -> State:
    if not _VECTORS.exists():
        return "missing"
    if _VECTORS.read_bytes() == _OLD_VECTORS:
        return "old"
    try:
        shape = np.load(_VECTORS).shape
    except (ValueError, EOFError) as error:
        return f"broken: {error}"
    return "new" if shape == (_TEXTS, 32) else f"broken: shape {shape}"


def _choices_state() -> State:
    found = [path for path in _CHOICES.glob("*.json") if path.is_file()]
    try:
        choices = [read_strict_json(path) for path in found]
    except StonnxError as error:
        return f"broken: {error.message}"
    return "missing" if not choices else "new" if len(choices) == 1 else f"broken: {found}"


SCENARIOS: Mapping[str, Scenario] = {
    "convert": Scenario(
        arguments=_CONVERT,
        before=_no_out,
        state=_out_state,
        allowed=frozenset({"missing", "new"}),
        target=_OUT,
    ),
    "convert-force": Scenario(
        arguments=_CONVERT,
        before=_old_out,
        state=_out_state,
        allowed=frozenset({"old", "new"}),
        target=_OUT,
    ),
    "quantize": Scenario(
        arguments=("quantize", "out", "--quiet", "--json", "--force"),
        before=_old_out,
        state=_out_state,
        allowed=frozenset({"old", "new"}),
        target=_OUT,
    ),
    "encode": Scenario(
        arguments=("encode", "artifact", "--file", "texts.txt", "--output", "vectors.npy", "--force"),
        before=_old_vectors,
        state=_vectors_state,
        allowed=frozenset({"old", "new"}),
        target=_VECTORS,
    ),
    "tune": Scenario(
        arguments=("tune", "artifact", "--seconds", "0.01", "--quiet", "--json"),
        before=lambda: shutil.rmtree(_CHOICES, ignore_errors=True),
        state=_choices_state,
        allowed=frozenset({"missing", "new"}),
        target=_CHOICES,
    ),
}


def main() -> int:
    """Run the scenarios that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"{', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--moments", type=int, default=50, help="kills of each command (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    damages: list[str] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        _prepare()
        for name in args.names or SCENARIOS:
            damages += _run_scenario(name, random.Random(f"{args.seed} {name}"), moments=args.moments)  # noqa: S311
    for damage in damages:
        print(damage)
    return 1 if damages else 0


def _prepare() -> None:
    make_tiny_model("source")
    Path("notes.txt").write_text("the user's own", encoding="utf-8")
    Path("texts.txt").write_text("".join(f"text number {n}\n" for n in range(_TEXTS)), encoding="utf-8")
    _finish(_start(0, ("convert", "source", "artifact", "--no-verify", "--no-int8", "--quiet", "--json")))


def _run_scenario(name: str, rng: random.Random, *, moments: int) -> list[str]:
    """Kill one command again and again; what went wrong, a line each."""
    scenario = SCENARIOS[name]
    scenario.before()
    began = time.monotonic()
    changes = int(_finish(_start(0, scenario.arguments)).split()[-1])
    seconds = time.monotonic() - began
    seen: Counter[str] = Counter()
    damages = []
    for moment in range(moments):
        scenario.before()
        users = _content(scenario.target)
        if moment % 2:
            at, limit_seconds = -1, rng.uniform(0, seconds)
        else:
            at, limit_seconds = rng.randint(1, changes), None
        seen["killed"] += _kill(_start(at, scenario.arguments), limit_seconds)
        state = scenario.state()
        seen[state] += 1
        seen["with something left"] += any(_is_hidden(path) for path in Path().rglob("*"))
        where = f"{name}, moment {moment}, before change {at} of {changes}, time {limit_seconds}"
        if state not in scenario.allowed:
            damages.append(f"{where}: {scenario.target} is {state}")
        if _content(scenario.target) != users:
            damages.append(f"{where}: files of the user's changed")
        _finish(_start(-1, scenario.arguments))
        state, left = scenario.state(), [str(path) for path in Path().rglob("*") if _is_hidden(path)]
        if state != "new" or left or _content(scenario.target) != users:
            damages.append(f"{where}: after the next run {scenario.target} is {state}, left over: {left}")
    counts = ", ".join(f"{count} {what}" for what, count in seen.items())
    print(f"{name}: {moments} moments, {changes} changes in {seconds:.1f} s; {counts}; {len(damages)} damages")
    return damages


def _start(at: int, arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, str(at), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command that must succeed; its stderr."""
    _, talk = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed by itself: {talk}")
    return talk


def _kill(process: subprocess.Popen[str], limit_seconds: float | None) -> bool:
    """Kill after some time, or see the process kill itself; whether that was before its end."""
    try:
        process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode == -signal.SIGKILL


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") and path.name != TUNE_FOLDER


def _content(target: Path) -> dict[Path, bytes]:
    """The user's files: all that does not belong to the target or its work folder."""
    return {
        path: path.read_bytes()
        for path in Path().rglob("*")
        if path.is_file() and target not in path.parents and path != target and not any(map(_is_hidden, path.parents))
    }


if __name__ == "__main__":
    sys.exit(main())
