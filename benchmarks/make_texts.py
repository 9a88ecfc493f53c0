"""Write src/stonnx/bench/texts.json, the texts of the realistic benchmark.

    python benchmarks/make_texts.py

Sentences of our own writing (sentence_pool.json) are joined into queries, single sentences and
paragraphs whose lengths follow a log-normal law, as lengths of real texts do. The outcome is the
same on every machine and Python version: only ``Random.random`` is drawn from.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Any, TypeAlias, TypeVar

HERE = Path(__file__).resolve().parent
POOL = HERE / "sentence_pool.json"
OUT = HERE.parent / "src" / "stonnx" / "bench" / "texts.json"
SEED = 20240229
TRIES = 60  # how many compositions are tried for one text; the best one wins
REUSE = 0.04  # a sentence used once more weighs as much as a length that is 4 % off

T = TypeVar("T")
Paragraphs: TypeAlias = list[list[str]]


@dataclass(frozen=True)
class Lengths:
    """The law that the lengths follow, in tokens with [CLS] and [SEP]."""

    texts: int
    median: float
    sigma: float
    shortest: int
    longest: int

    def targets(self) -> list[int]:
        """One length a text: evenly spaced quantiles, so the mean does not hang on luck."""
        law = NormalDist(math.log(self.median), self.sigma)
        wanted = (round(math.exp(law.inv_cdf((i + 0.5) / self.texts))) for i in range(self.texts))
        return [min(max(length, self.shortest), self.longest) for length in wanted]


@dataclass(frozen=True)
class Language:
    """What tells one language's texts from another's."""

    lengths: Lengths
    joiner: str


LANGUAGES = {
    "en": Language(Lengths(texts=400, median=26.0, sigma=0.85, shortest=4, longest=240), joiner=" "),
    "zh": Language(Lengths(texts=200, median=40.0, sigma=0.9, shortest=4, longest=400), joiner=""),
}


def count_tokens(text: str) -> int:
    """About as many tokens as a WordPiece tokenizer makes, [CLS] and [SEP] included."""
    return 2 + len(re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text))


class Composer:
    """Composes texts of a wanted length out of one language's pool, none twice."""

    def __init__(self, pool: dict[str, Any], joiner: str, rng: Random) -> None:
        self.short: list[str] = pool["short"]
        self.topics: list[list[str]] = list(pool["topics"].values())
        self.slots: dict[str, list[str]] = pool["slots"]
        self.joiner = joiner
        self.rng = rng
        self.used: set[tuple[str, ...]] = set()
        self.uses: Counter[str] = Counter()
        self.size = functools.cache(lambda template: count_tokens(self._fill(template)) - 2)

    def compose(self, target: int) -> str:
        """A new text of about ``target`` tokens."""
        best = min(self._candidates(target), key=lambda candidate: self._cost(candidate, target))
        sentences = tuple(itertools.chain.from_iterable(best))
        self.used.add(sentences)
        self.uses.update(sentences)
        return "\n\n".join(self.joiner.join(map(self._fill, paragraph)) for paragraph in best)

    def _cost(self, candidate: Paragraphs, target: int) -> float:
        sentences = list(itertools.chain.from_iterable(candidate))
        tokens = 2 + sum(map(self.size, sentences))
        reuse = sum(self.uses[sentence] for sentence in sentences) / len(sentences)
        return abs(tokens - target) / target + REUSE * reuse

    def _candidates(self, target: int) -> Iterator[Paragraphs]:
        queries: list[Paragraphs] = [[[query]] for query in self.short] if target < 14 else []
        composed = (self._paragraphs(target) for _ in range(TRIES))
        for candidate in itertools.chain(queries, composed):
            if tuple(itertools.chain.from_iterable(candidate)) not in self.used:
                yield candidate

    def _paragraphs(self, target: int) -> Paragraphs:
        """Sentences of one topic, in the order of the pool; of a second and third topic when one is too short."""
        paragraphs: Paragraphs = []
        missing = target - 2
        for topic in self._shuffled(self.topics):
            chosen: set[int] = set()
            for position in self._shuffled(range(len(topic))):
                size = self.size(topic[position])
                if chosen and size > missing:
                    continue
                chosen.add(position)
                missing -= size
            paragraphs.append([topic[position] for position in sorted(chosen)])
            if len(chosen) < len(topic):
                break
        return paragraphs

    def _fill(self, template: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self._shuffled(self.slots[match[1]])[0], template)

    def _shuffled(self, items: Sequence[T]) -> list[T]:
        return sorted(items, key=lambda _: self.rng.random())


def make_texts() -> dict[str, list[str]]:
    """The texts of each language, in shuffled order."""
    pools = json.loads(POOL.read_text(encoding="utf-8"))
    texts: dict[str, list[str]] = {}
    for name, language in LANGUAGES.items():
        rng = Random(SEED)  # noqa: S311 - not for secrets
        composer = Composer(pools[name], language.joiner, rng)
        composed = [composer.compose(target) for target in language.lengths.targets()]
        texts[name] = sorted(composed, key=lambda _, rng=rng: rng.random())  # type: ignore[misc]
    return texts


def main() -> None:
    """Write the file and say what is in it."""
    texts = make_texts()
    OUT.write_text(json.dumps(texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    for name, some in texts.items():
        lengths = sorted(map(count_tokens, some))
        mean = sum(lengths) / len(lengths)
        sys.stderr.write(
            f"{name}: {len(some)} texts, about {lengths[0]}-{lengths[-1]} tokens, "
            f"median {lengths[len(lengths) // 2]}, mean {mean:.1f}\n"
        )


if __name__ == "__main__":
    main()
