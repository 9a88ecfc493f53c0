"""The shipped benchmark texts are distinct and as long as real texts are."""

from __future__ import annotations

import importlib.util
import re
import statistics
import sys
from importlib import resources
from pathlib import Path

import pytest

from stonnx.bench.texts import bench_texts
from stonnx.errors import UsageError

GENERATOR = Path(__file__).resolve().parents[2] / "benchmarks" / "make_texts.py"


def count_tokens(text: str) -> int:
    """Words, Chinese characters and punctuation marks, with [CLS] and [SEP]."""
    return 2 + len(re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text))


@pytest.mark.parametrize(("language", "count"), [("en", 400), ("zh", 200)])
def test_texts_are_distinct(language, count) -> None:
    texts = bench_texts(language)
    assert len(texts) == count
    assert len(set(texts)) == count
    assert all(text == text.strip() and text for text in texts)


@pytest.mark.parametrize(
    ("language", "mean", "shortest", "longest"), [("en", (34, 40), 6, (200, 256)), ("zh", (54, 66), 6, (300, 400))]
)
def test_lengths_are_mixed_as_promised(language, mean, shortest, longest) -> None:
    lengths = sorted(map(count_tokens, bench_texts(language)))
    assert mean[0] <= statistics.mean(lengths) <= mean[1]
    # Log-normal: half of the texts are clearly shorter than the average.
    assert statistics.median(lengths) < 0.85 * statistics.mean(lengths)
    assert lengths[0] <= shortest
    assert longest[0] <= lengths[-1] <= longest[1]
    assert len(set(lengths)) > 40


@pytest.mark.parametrize(("language", "chinese"), [("en", False), ("zh", True)])
def test_texts_are_in_their_language(language, chinese) -> None:
    for text in bench_texts(language):
        assert bool(re.search(r"[\u4e00-\u9fff]", text)) == chinese
        assert not re.search(r"[{}\ufffd]", text)


def test_they_come_in_the_same_order_each_time() -> None:
    assert bench_texts("en") == bench_texts("en")


def test_lengths_are_not_sorted() -> None:
    lengths = list(map(count_tokens, bench_texts("en")))
    halves = statistics.mean(lengths[:200]), statistics.mean(lengths[200:])
    assert 0.7 < halves[0] / halves[1] < 1.4


def test_an_unknown_language_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"'fr'.*en, zh"):
        bench_texts("fr")  # type: ignore[arg-type]


def test_the_file_is_small() -> None:
    assert len(resources.files("stonnx.bench").joinpath("texts.json").read_bytes()) < 200_000


@pytest.mark.skipif(not GENERATOR.exists(), reason="benchmarks/ is not in the source distribution")
def test_the_generator_still_writes_the_shipped_texts(monkeypatch) -> None:
    spec = importlib.util.spec_from_file_location("make_texts", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_texts", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    assert {name: tuple(texts) for name, texts in module.make_texts().items()} == {
        "en": bench_texts("en"),
        "zh": bench_texts("zh"),
    }
