"""Help, version, dispatch and what is imported for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stonnx.cli
from stonnx import __version__
from stonnx.cli import main
from stonnx.cli._main import VERBS, verb_parser


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_help_has_a_line_for_each_verb(capsys):
    lines = help_of(capsys).splitlines()
    for verb, summary in VERBS.items():
        assert sum(line.split() == [verb, *summary.split()] for line in lines) == 1


def test_the_verbs_are_the_public_modules():
    folder = Path(stonnx.cli.__file__).parent
    assert {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")} == set(VERBS)


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS)])
def test_help_fits_eighty_columns(capsys, verb):
    assert max(map(len, help_of(capsys, *verb).splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_json_quiet_and_examples(verb):
    text = verb_parser(verb).format_help()
    assert "--json" in text
    assert "--quiet" in text
    assert f"stonnx {verb}" in text.partition("examples:")[2]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"stonnx {__version__}\n"


@pytest.mark.parametrize("arguments", [["-q", "info", "X"], ["info", "X", "--quiet"], ["info", "-q", "X"]])
def test_quiet_before_and_after_the_verb(monkeypatch, arguments):
    seen = []
    monkeypatch.setattr("stonnx.cli.info.run", lambda args: seen.append(args.quiet) or 0)
    assert main(arguments) == 0
    assert main(["info", "X"]) == 0
    assert seen == [True, False]


@pytest.mark.parametrize("arguments", [["--json", "info", "X"], ["info", "X", "--json"]])
def test_json_before_and_after_the_verb(monkeypatch, arguments):
    seen = []
    monkeypatch.setattr("stonnx.cli.info.run", lambda args: seen.append((args.json, args.quiet)) or 0)
    assert main(arguments) == 0
    assert main(["info", "X"]) == 0
    assert seen == [(True, False), (False, False)]


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS)])
def test_help_is_a_verb_too(capsys, verb):
    assert main(["help", *verb]) == 0
    assert capsys.readouterr().out == help_of(capsys, *verb)


def test_help_of_no_verb(capsys):
    assert main(["help", "verfy"]) == 2
    assert capsys.readouterr().err.endswith("hint: stonnx verify --help\n")


def test_texts_and_options_mix(monkeypatch):
    seen = []
    monkeypatch.setattr("stonnx.cli.encode.run", lambda args: seen.append(args) or 0)
    assert main(["encode", "A", "--normalize", "one", "--threads", "2", "two", "--json"]) == 0
    assert (seen[0].artifact, seen[0].text, seen[0].threads, seen[0].normalize) == ("A", ["one", "two"], 2, True)
    assert main(["encode", "A", "--", "-5 degrees", "--json"]) == 0
    assert (seen[1].artifact, seen[1].text, seen[1].json) == ("A", ["-5 degrees", "--json"], False)


@pytest.mark.parametrize(("typed", "hint"), [("verfy", "stonnx verify --help"), ("zzz", "stonnx --help")])
def test_an_unknown_verb_names_those_that_there_are(capsys, typed, hint):
    assert main([typed]) == 2
    err = capsys.readouterr().err
    assert all(verb in err for verb in VERBS)
    assert err.endswith(f"hint: {hint}\n")


def test_a_mistake_names_the_help_of_its_verb(capsys):
    assert main(["encode", "A", "x", "--threads", "many"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "expected a whole number of at least 1, found 'many'" in err
    assert err.endswith("hint: stonnx encode --help\n")


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["--version"], ["nonsense"]])
def test_nothing_heavy_is_imported_before_the_work(arguments):
    heavy = {"numpy", "onnx", "onnxruntime", "torch", "rich", "tokenizers", "huggingface_hub", "safetensors"}
    code = f"""
import sys
from stonnx.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
sys.exit(",".join({heavy!r} & set(sys.modules)) or 0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_package_imports_no_part_of_itself_before_it_can_catch_a_ctrl_c():
    code = "import sys, stonnx.cli; print(*sorted(m for m in sys.modules if m.startswith('stonnx.')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["stonnx._version", "stonnx.cli", "stonnx.errors"]


def test_help_imports_no_verb():
    code = """
import sys
from stonnx.cli import main
try:
    main(["--help"])
except SystemExit:
    sys.stderr.write(" ".join(sorted(m for m in sys.modules if m.startswith("stonnx.cli."))))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.split() == ["stonnx.cli._arguments", "stonnx.cli._exit", "stonnx.cli._main"]
