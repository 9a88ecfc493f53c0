"""What a tuning compares the variants with: the original's results, and those of the fp32 variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from stonnx._timing import Item, spread
from stonnx.artifact import AnyGoldens, Goldens, PairGoldens
from stonnx.errors import ArtifactError
from stonnx.runtime import Encoder, Reranker
from stonnx.verify import probe_pairs, probe_texts

__all__ = ["Reference", "make_pair_reference", "make_reference"]

_SAMPLE_TEXTS = 64
_SAMPLE_PAIRS = 64

GoldensT_co = TypeVar("GoldensT_co", bound=AnyGoldens, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Reference(Generic[GoldensT_co]):
    """Texts or pairs with reference results, and a phrase for people that says whose results they are."""

    goldens: GoldensT_co
    described: str


def make_reference(encoder: Encoder, texts: Sequence[Item]) -> Reference[Goldens]:
    """The original's vectors of the probe texts, and the encoder's of some of the user's texts.

    An int8 variant may have been calibrated on the probe texts, but not on the user's, which are what matters to the
    user. Without goldens, the encoder stands in for the original.

    Args:
        encoder: Runs the reference variant.
        texts: What is tuned for.

    Raises:
        ArtifactError: The goldens are damaged.
        RunError: The engine failed.
    """
    goldens = encoder.artifact.goldens()
    if isinstance(goldens, PairGoldens):
        raise ArtifactError(f"{encoder.artifact.path} carries goldens of pairs, but it encodes texts.")
    probes = set(probe_texts() if goldens is None else goldens.texts)
    name = encoder.variant.name
    sample = spread([text for text in dict.fromkeys(map(str, texts)) if text not in probes], _SAMPLE_TEXTS)
    if goldens is None:
        chosen = (*probe_texts(), *sample)
        return Reference(
            goldens=Goldens(texts=chosen, vectors=encoder.encode(chosen), reference={"variant": name}),
            described=f"the vectors of {name} ({len(chosen)} texts); the artifact has none of the original model",
        )
    described = f"the original model's vectors ({len(goldens.texts)} probe texts)"
    if not sample:
        return Reference(goldens=goldens, described=described)
    vectors = np.concatenate([goldens.vectors, encoder.encode(sample)])
    return Reference(
        goldens=Goldens(texts=(*goldens.texts, *sample), vectors=vectors, reference=goldens.reference),
        described=f"{described} and those of {name} ({len(sample)} of the texts)",
    )


def make_pair_reference(reranker: Reranker, pairs: Sequence[tuple[str, str]]) -> Reference[PairGoldens]:
    """The original's scores of the probe pairs, and the reranker's of some of the user's pairs: as ``make_reference``.

    Args:
        reranker: Runs the reference variant.
        pairs: What is tuned for.

    Raises:
        ArtifactError: The goldens are damaged.
        RunError: The engine failed.
    """
    goldens = reranker.artifact.goldens()
    if isinstance(goldens, Goldens):
        raise ArtifactError(f"{reranker.artifact.path} carries goldens of texts, but it scores pairs.")
    name = reranker.variant.name
    if goldens is None:
        chosen = (*probe_pairs(), *_new_pairs(pairs, probe_pairs()))
        return Reference(
            goldens=_scored(reranker, chosen, {"variant": name}),
            described=f"the scores of {name} ({len(chosen)} pairs); the artifact has none of the original model",
        )
    described = f"the original model's scores ({len(goldens.pairs)} probe pairs)"
    sample = _new_pairs(pairs, goldens.pairs)
    if not sample:
        return Reference(goldens=goldens, described=described)
    mine = _scored(reranker, sample, goldens.reference)
    both = PairGoldens(
        pairs=(*goldens.pairs, *sample),
        scores=np.concatenate([goldens.scores, mine.scores]),
        logits=np.concatenate([goldens.logits, mine.logits]),
        reference=goldens.reference,
    )
    return Reference(goldens=both, described=f"{described} and those of {name} ({len(sample)} of the pairs)")


def _new_pairs(pairs: Sequence[tuple[str, str]], probes: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Some of the user's pairs, none of them a probe."""
    known = set(probes)
    return spread([pair for pair in dict.fromkeys(pairs) if pair not in known], _SAMPLE_PAIRS)


def _scored(reranker: Reranker, pairs: tuple[tuple[str, str], ...], reference: dict[str, str]) -> PairGoldens:
    shape = (len(pairs), len(reranker.labels))
    return PairGoldens(
        pairs=pairs,
        scores=np.asarray(reranker.predict(pairs)).reshape(shape),
        logits=np.asarray(reranker.predict(pairs, activation_fn="Identity")).reshape(shape),
        reference=reference,
    )
