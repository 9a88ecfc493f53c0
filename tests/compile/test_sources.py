"""Graph sources and the catalogue: what a dialect cannot write is left out, with the reason."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from stonnx.artifact import Artifact
from stonnx.compile import convert
from stonnx.compile.catalogue import FLOAT_ROWS, INT8_ROWS, REFERENCE
from stonnx.compile.sources import AuthoredFloat
from stonnx.graph.dialects import CannotWriteError, OrtCpu


class Refusing(OrtCpu):
    """Cannot write any attention."""

    def attend(self, *_):
        raise CannotWriteError("refusing", "attention")


@pytest.fixture
def refuse(monkeypatch):
    """A function: the float variants of these names come of a dialect that cannot write them."""

    def run(*names):
        rows = tuple(
            dataclasses.replace(row, dialect=lambda _: Refusing()) if row.name in names else row for row in FLOAT_ROWS
        )
        monkeypatch.setattr("stonnx.compile.run.AuthoredFloat", functools.partial(AuthoredFloat, rows=rows))

    return run


def names_of(manifest):
    return [variant.name for variant in manifest.variants]


def test_what_a_dialect_cannot_write_is_left_out(source, tmp_path, refuse):
    refuse("fp32")
    done = convert(source, tmp_path / "out", verify=False, int8=True)
    assert names_of(done.manifest) == ["portable", "openvino", "openvino-bf16"]
    assert "fp32 was left out: The dialect refusing cannot write attention." in done.notes
    assert sum("int8 was left out" in note for note in done.notes) == 1
    Artifact.open(tmp_path / "out").check_files()
    assert not (tmp_path / "out" / REFERENCE.file).exists()


def test_rows_have_names_and_files_of_their_own():
    rows = (*FLOAT_ROWS, *INT8_ROWS)
    assert len({row.name for row in rows}) == len(rows)
    assert len({row.file for row in INT8_ROWS}) == len(INT8_ROWS)
    assert not {row.file for row in FLOAT_ROWS} & {row.file for row in INT8_ROWS}
    assert all(bool(row.target) == (row.precision == "int8") for row in rows)


def test_graphs_say_who_wrote_them_and_what_was_fused(source, tmp_path):
    done = convert(source, tmp_path / "out", verify=False, int8=False)
    graphs = {variant.name: variant.graph for variant in done.manifest.variants}
    assert {graph.origin for graph in graphs.values()} == {"authored"}
    assert graphs["fp32"].fused == {"MultiHeadAttention": 2, "BiasGelu": 2}
    assert graphs["portable"].fused == {}
    assert (graphs["fp32"].layout, graphs["portable"].layout) == ("equal_lengths", "padded")
    assert graphs["openvino"] == graphs["portable"]
