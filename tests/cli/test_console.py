"""Text for people: readable at 80 columns, literal, without colour or motion where nobody watches."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from stonnx.cli import _console
from stonnx.cli._console import Output, TalkHandler
from stonnx.cli._text import plural, printable, seconds_text, size_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 你好 é", "plain 你好 é"),
        ("\x1b[31m\n\t", "\\x1b[31m\\n\\t"),
        ("\ud800", "\\ud800"),
        ("\u202eevil", "\\u202eevil"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_960, "1.0 MB"), (90_868_376, "90.9 MB")],
)
def test_sizes(size, shown):
    assert size_text(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.041, "0.04 s"), (12.34, "12.3 s"), (59.97, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_durations(seconds, shown):
    assert seconds_text(seconds) == shown


def test_plural():
    assert (plural(1, "text"), plural(0, "text"), plural(1000, "text")) == ("1 text", "0 texts", "1,000 texts")


def test_a_table_shortens_texts_and_keeps_numbers(capsys):
    rows = [("很长的名字" * 20, "1.2345678", "[bold]9[/bold]"), ("x", "1", "2")]
    Output().table(("text", "a", "b"), rows, shorten=True)
    lines = capsys.readouterr().out.splitlines()
    from rich.cells import cell_len

    assert max(map(cell_len, lines)) <= 80
    assert "…" in lines[2]
    assert "1.2345678" in lines[2]
    assert "[bold]9[/bold]" in lines[2]


def test_many_columns_are_all_there(capsys):
    Output().table(("", *"12345678"), [("a text " * 20, *["-0.12"] * 8)] * 2, shorten=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].count("-0.12") == 8
    assert lines[0].split() == list("12345678")


WIDE = (("variant", "mean", "lowest", "class"), [("openvino-int8-static", "0.9999999", "0.9999991", "balanced")])


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        ("80", ["variant mean lowest class", "openvino-int8-static 0.9999999 0.9999991 balanced"]),
        ("56", ["variant mean lowest class", "openvino-int8-static 0.9999999 0.9999991 balanced"]),
        ("40", ["openvino-int8-static", "mean 0.9999999", "lowest 0.9999991", "class balanced"]),
    ],
)
def test_a_table_of_names_gives_up_room_and_then_its_shape_but_no_name(capsys, monkeypatch, columns, lines):
    monkeypatch.setenv("COLUMNS", columns)
    Output().table(*WIDE)
    out = capsys.readouterr().out.splitlines()
    assert max(map(len, out)) <= int(columns)
    assert [" ".join(line.split()) for line in out if not line.strip().startswith("─")] == lines


def test_a_list_of_rows_leaves_out_empty_cells_and_shortens_only_texts(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    numbers = ["-0.12"] * 8
    columns = ("", *"12345678")
    Output().table(columns, [("a text " * 20, *numbers)], shorten=True)
    Output().table(columns, [("onnx/" + "n" * 60, "", *numbers[1:])])
    first, second = capsys.readouterr().out.split("    8  -0.12\n")[:2]
    assert first.startswith("  a text a text")
    assert first.splitlines()[0].endswith("…")
    assert max(map(len, first.splitlines())) <= 40
    assert second.splitlines()[:2] == ["  onnx/" + "n" * 60, "    2  -0.12"]


def test_fields_wrap_under_themselves(capsys):
    Output().fields([("name", "word " * 40), ("longer name", "x")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(" " * 15 + "word")
    assert lines[-1] == "  longer name  x"


def test_a_command_can_be_copied(capsys):
    Output().command("stonnx", "encode", "my model", "it's", "$HOME", "plain")
    assert capsys.readouterr().out == '  stonnx encode "my model" "it\'s" \'$HOME\' plain\n'


def test_quiet_is_quiet(capsys):
    output = Output(quiet=True)
    output.say("talk")
    with output.steps() as step, output.progress() as progress:
        step("a step")
        progress("label", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_a_step_is_a_line(capsys):
    with Output().steps() as step:
        step("one")
        step("two")
    assert capsys.readouterr() == ("", "  one\n  two\n")


def test_without_a_terminal_progress_is_a_line_per_label(capsys):
    with Output().progress() as progress:
        for done in range(5):
            progress("classic", done, 4)
        progress("latency", 0, 4)
    assert capsys.readouterr() == ("", "  classic\n  latency\n")


def test_on_a_terminal_steps_are_timed_and_a_failed_one_is_not_called_done(capsys, terminal):
    def fail_in_the_second_step():
        with Output().steps() as step:
            step("first")
            step("second")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail_in_the_second_step()
    out, err = capsys.readouterr()
    assert out == ""
    done = [line for line in err.splitlines() if line.rstrip().endswith(" s")]
    assert len(done) == 1
    assert "first" in done[0]


def test_on_a_terminal_progress_reaches_its_end(capsys, terminal):
    with Output().progress() as progress:
        for done in range(101):
            progress("classic", done, 100)
    out, err = capsys.readouterr()
    assert out == ""
    assert "100/100" in err
    assert err.count("classic") < 20  # drawn a few times, not at every call


class Watched(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        (Watched, {"TERM": "xterm-256color"}, True),
        (Watched, {"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        (Watched, {"TERM": "dumb"}, False),
        (io.StringIO, {"TERM": "xterm-256color"}, False),
        (io.StringIO, {"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(monkeypatch, stream, environment, coloured):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream())
    Output().table(("variant", "result"), [("fp32", "pass")])
    assert ("\x1b[32m" in sys.stdout.getvalue()) is coloured


def test_a_closed_stream_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert not _console.is_terminal(stream)


def test_warnings_of_the_library_are_talk(capsys):
    logger = logging.getLogger("stonnx.some.room")
    handler = TalkHandler(level=logging.WARNING)
    logger.addHandler(handler)
    try:
        logger.warning("%d things are odd", 3)
        logger.warning("texts were truncated", extra={"truncated_texts": 1})
    finally:
        logger.removeHandler(handler)
    assert capsys.readouterr() == ("", "warning: 3 things are odd\n")


def test_the_space_between_columns_gives_way_before_a_table_becomes_lists(capsys):
    """What 'stonnx verify' says of every variant, at its widest, is a table on a narrow terminal."""
    columns = ("variant", "cos. mean", "cos. min", "max |Δ|", "top-10", "class", "result")
    wide = ("openvino-int8-static", "0.9991005", "0.9959902", "1.8e-02", "96.6% ±0.9%", "balanced?", "pass")
    Output().table(columns, [wide])
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.split() == " ".join(columns).split()
    assert row == "  " + " ".join((*wide[:-1], "  pass"))
    Output().table(columns, [(f"{wide[0]}x", *wide[1:])])
    assert len(capsys.readouterr().out.splitlines()) == 3
    Output().table(columns, [(f"{wide[0]}xy", *wide[1:])])
    assert len(capsys.readouterr().out.splitlines()) == len(columns), "a list: a name and six figures"
