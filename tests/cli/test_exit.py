"""Exit codes and error messages: the table is complete, and nobody sees a traceback unasked."""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stonnx
from stonnx import errors
from stonnx.cli import main
from stonnx.cli._exit import EXIT_CODES, ExitCode, exit_code
from stonnx.cli._main import VERBS, verb_parser


def subclasses(kind):
    return {sub for direct in kind.__subclasses__() for sub in {direct, *subclasses(direct)}}


def test_every_error_of_the_tree_has_its_own_row():
    ours = {kind for kind in subclasses(errors.StonnxError) if kind.__module__ == "stonnx.errors"}
    assert ours == {getattr(errors, name) for name in errors.__all__} - {errors.StonnxError}
    assert ours <= EXIT_CODES.keys()


def test_every_code_has_a_meaning():
    assert all(code.meaning for code in ExitCode)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.CheckpointError, 3),
        (errors.ArtifactError, 3),
        (errors.UnsupportedModelError, 4),
        (errors.MissingExtraError, 4),
        (errors.VerificationError, 5),
        (errors.RunError, 6),
        (errors.StonnxError, 1),
        (ValueError, 1),
        (MemoryError, 6),
        (PermissionError, 6),
        (KeyboardInterrupt, 130),
        (BrokenPipeError, 141),
    ],
)
def test_codes(kind, code):
    assert exit_code(kind) == code
    assert exit_code(kind("x")) == code


@pytest.fixture
def failing_verb(monkeypatch):
    """Makes `stonnx info X` raise what the test gives it."""

    def fail_with(error):
        def run(args: argparse.Namespace) -> int:
            raise error

        monkeypatch.setattr("stonnx.cli.info.run", run)
        return lambda *options: main(["info", "X", *options])

    return fail_with


@pytest.mark.parametrize("options", [(), ("--json",), ("--quiet",)])
def test_a_known_error_is_a_message_and_a_hint_on_stderr(failing_verb, capsys, options):
    assert failing_verb(errors.MissingExtraError("It is missing.", hint='pip install "stonnx[cpu]"'))(*options) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err == 'error: It is missing.\nhint: pip install "stonnx[cpu]"\n'


def test_no_hint_no_hint_line(failing_verb, capsys):
    assert failing_verb(errors.RunError("No."))() == 6
    assert capsys.readouterr().err == "error: No.\n"


def test_the_command_line_gets_its_own_words(failing_verb, capsys):
    error = errors.RunError("No.", hint="lower batch_tokens", cli_hint="lower --batch-tokens")
    assert failing_verb(error)() == 6
    assert capsys.readouterr().err == "error: No.\nhint: lower --batch-tokens\n"
    assert str(error) == "No.\n  hint: lower batch_tokens"


def hints(keyword):
    """The hints of the library, as they stand in its source: the file, and the texts that each is made of."""
    package = Path(stonnx.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if (package / "cli") in path.parents:
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = {word.arg: word.value for word in call.keywords} if isinstance(call, ast.Call) else {}
            if keyword in given:
                yield path.name, spelled_out(given[keyword]), "cli_hint" in given


def spelled_out(node):
    """The text of an expression, with a 0 for each value that is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue):
        return "0"
    return "".join(spelled_out(child) for child in ast.iter_child_nodes(node))


def test_a_hint_of_the_library_is_python_and_has_a_twin_where_it_names_an_argument():
    found = list(hints("hint"))
    assert len(found) > 50
    for file, text, has_twin in found:
        command = text.startswith("stonnx ")  # a whole line to type, the same for everybody
        assert command or not re.search(r" --[a-z]", text), f"{file}: {text}"
        assert has_twin or not re.search(r"\w=['\w]", text), f"{file}: {text}"


def test_a_hint_of_the_command_line_names_options_that_there_are():
    known = {option for verb in VERBS for action in verb_parser(verb)._actions for option in action.option_strings}
    found = list(hints("cli_hint"))
    assert found
    for file, text, _ in found:
        named = set(re.findall(r"--[a-z0-9-]+", text))
        assert named or text.startswith("stonnx "), f"{file}: {text}"
        assert named <= known, f"{file}: {text}"


def test_a_message_cannot_drive_the_terminal(failing_verb, capsys):
    failing_verb(errors.ArtifactError("two\nlines \x1b]0;title\x07"))()
    assert capsys.readouterr().err == "error: two\nlines \\x1b]0;title\\x07\n"


def test_an_unknown_error_asks_for_a_report(failing_verb, capsys):
    assert failing_verb(ZeroDivisionError("of\nsorts"))() == 1
    err = capsys.readouterr().err
    assert err == (
        "internal error: ZeroDivisionError: of sorts; please report; set STONNX_TRACEBACK=1 for the traceback\n"
    )


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_the_traceback_is_there_when_asked_for(failing_verb, capsys, monkeypatch, value, shown):
    monkeypatch.setenv("STONNX_TRACEBACK", value)
    assert failing_verb(ZeroDivisionError())() == 1
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_what_leaks_from_the_machine(failing_verb, capsys):
    assert failing_verb(OSError(28, "No space left on device"))() == 6
    assert capsys.readouterr().err == "error: [Errno 28] No space left on device\n"
    assert failing_verb(MemoryError())() == 6
    assert "out of memory" in capsys.readouterr().err


def test_ctrl_c(failing_verb, capsys):
    assert failing_verb(KeyboardInterrupt())() == 130
    assert capsys.readouterr().err == "interrupted; nothing half-written was left behind\n"


def test_a_broken_pipe_is_quiet(failing_verb, capfd):
    assert failing_verb(BrokenPipeError())() == 141
    assert capfd.readouterr().err == ""


def run_stonnx(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "stonnx", *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["info", "nowhere"], 3),
        (["info"], 2),
        (["info", "nowhere", "--jso"], 2),
        (["nonsense"], 2),
        ([], 2),
        (["--nonsense"], 2),
        (["encode", "nowhere", "x", "--file", "y"], 2),
        (["encode", "nowhere"], 3),  # an empty pipe is no mistake, the artifact is
        (["encode", "nowhere", "text", "--threads", "0"], 2),
        (["encode", "nowhere", "text", "--prompt", "a", "--prompt-name", "b"], 2),
        (["verify", "nowhere", "--pairs", "nowhere.tsv"], 2),
    ],
)
def test_the_process_exits_with_the_code_and_without_a_traceback(arguments, code):
    result = run_stonnx(*arguments, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: " if arguments else "usage: ")


def test_a_reader_that_leaves_early_gets_no_complaint(artifact):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed_pipe:
        result = subprocess.run(
            [sys.executable, "-m", "stonnx", "info", artifact], stdout=closed_pipe, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 141
    assert result.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_is_an_error(artifact):
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run(
            [sys.executable, "-m", "stonnx", "info", artifact, "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 6
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr


_NOISE = """
import logging, os, subprocess, sys, warnings
import stonnx.cli.info
from stonnx.cli import main
from stonnx.errors import RunError

def run(args):
    os.write(2, b"native code writes")
    subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('a child writes')"])
    print("a library prints", file=sys.stderr, end="")
    warnings.warn("a library warns")
    logging.getLogger("transformers").warning("a library logs")
    logging.getLogger("stonnx").warning("we log")
    if args.artifact == "fails":
        raise RunError("It failed.")
    print("the result")
    return 0

stonnx.cli.info.run = run
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("artifact", "code", "out", "err"), [("works", 0, "the result\n", ""), ("fails", 6, "", "error: It failed.\n")]
)
def test_quiet_holds_for_libraries_too(artifact, code, out, err):
    command = [sys.executable, "-c", _NOISE, "info", artifact]
    quiet = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False, timeout=60)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (code, out, err)
    loud = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert all(part in loud.stderr for part in ("native code writes", "a child", "prints", "warns", "logs", "we log"))


@pytest.mark.parametrize("arguments", ["info art", "encode art text --output v.npy", "--help", "nonsense"])
def test_a_closed_stdout_is_told_before_any_work(artifact, arguments):
    result = in_shell(f"{arguments} >&-")
    assert (result.returncode, result.stdout) == (6, b"")
    assert result.stderr.startswith(b"error: stdout is closed: ")
    assert result.stderr.count(b"\n") == 2
    assert not os.path.exists("v.npy")


@pytest.mark.parametrize("others", ["", "<&-"])
def test_a_closed_stderr_is_no_mistake(artifact, others):
    assert in_shell("info art").stdout == in_shell(f"info art 2>&- {others}").stdout != b""
    assert in_shell(f"info nowhere 2>&- {others}").returncode == 3
    assert in_shell(f"info nowhere >&- 2>&- {others}").returncode == 6


def test_no_file_is_opened_in_place_of_a_closed_stream(artifact):
    """What a native library says on stderr would go into the file that took its number."""
    code = "import os, sys; from stonnx.cli import main; main(['info', 'art']); print(os.open('art', os.O_RDONLY) > 2)"
    result = subprocess.run(
        ["sh", "-c", f'exec {sys.executable} -c "{code}" 2>&- <&-'], capture_output=True, check=True
    )
    assert result.stdout.endswith(b"True\n")


def in_shell(words):
    """``stonnx`` with the redirections that only a shell can make."""
    command = f"exec {sys.executable} -m stonnx {words}"
    return subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
