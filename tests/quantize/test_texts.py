"""The shipped calibration and selection texts are distinct, apart from all others, and mixed."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable

import pytest

from stonnx.bench.texts import bench_texts
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_edges, selection_texts
from stonnx.verify import probe_texts

LISTS = [calibration_texts, selection_texts]
SCRIPTS = {
    "latin": r"[A-Za-z]",
    "chinese": r"[\u4e00-\u9fff]",
    "kana": r"[\u3040-\u30ff]",
    "cyrillic": r"[\u0400-\u04ff]",
    "arabic": r"[\u0600-\u06ff]",
    "hangul": r"[\uac00-\ud7a3]",
    "emoji": r"[\U0001f300-\U0001faff]",
}


def fold(text: str) -> str:
    """The text's letters and digits only, without case: what two near copies share."""
    return re.sub(r"[\W_]+", "", text).casefold()


def split_sentences(text: str) -> set[str]:
    """The folded sentences that are long enough to say something of their own."""
    folded = (fold(sentence) for sentence in re.split(r"[.!?;]\s|[。！？；\n]", text))
    return {sentence for sentence in folded if len(sentence) > 12}


def count_words(text: str) -> int:
    """Words, Chinese characters and kana."""
    return len(re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W\u3040-\u30ff\u4e00-\u9fff]+", text))


@pytest.mark.parametrize(("texts", "count"), [(calibration_texts, 200), (selection_texts, 100)])
def test_counts(texts: Callable[[], tuple[str, ...]], count: int) -> None:
    assert len(texts()) == count
    assert texts() is texts()


def test_no_text_appears_twice_in_or_across_the_lists() -> None:
    everything = calibration_texts() + selection_texts()
    assert len({fold(text) for text in everything}) == len(everything)
    assert all(text == text.strip() and text for text in everything)


def test_the_lists_share_no_sentence() -> None:
    calibration = set().union(*map(split_sentences, calibration_texts()))
    selection = set().union(*map(split_sentences, selection_texts()))
    assert not calibration & selection


def test_none_is_a_probe_or_a_benchmark_text() -> None:
    others = {fold(text) for text in (*probe_texts(), *bench_texts("en"), *bench_texts("zh"))}
    assert not others & {fold(text) for text in calibration_texts() + selection_texts()}


@pytest.mark.parametrize("texts", LISTS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_mixed(texts: Callable[[], tuple[str, ...]], script: str) -> None:
    assert sum(bool(re.search(SCRIPTS[script], text)) for text in texts()) >= 2


@pytest.mark.parametrize("texts", LISTS)
def test_lengths_are_mixed(texts: Callable[[], tuple[str, ...]]) -> None:
    lengths = sorted(map(count_words, texts()))
    assert lengths[0] == 1
    assert lengths[-1] >= 150
    assert 20 <= statistics.median(lengths) <= 45
    # Log-normal: half of the texts are clearly shorter than the average.
    assert statistics.median(lengths) < 0.85 * statistics.mean(lengths)


def test_edges_are_apart_from_each_other_and_from_the_probes() -> None:
    calibration, selection = set(calibration_edges()), set(selection_edges())
    assert len(calibration) == len(calibration_edges()) >= 10
    assert len(selection) == len(selection_edges()) >= 5
    assert not calibration & selection
    assert not (calibration | selection) & {*probe_texts(), *bench_texts("en"), *bench_texts("zh")}
