"""The original model's side of a verification: what it gives for the probe texts, or the probe pairs.

For example::

    original = run_original("moka-ai/m3e-base", kind="embedding")
    original.goldens.vectors  # float32, shape (texts, dimension)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stonnx._steps import OnStep, silent
from stonnx.artifact import Goldens, PairGoldens
from stonnx.artifact.manifest import Kind
from stonnx.errors import UnsupportedModelError
from stonnx.reference import PositionCut, ReferenceEncoder, ReferenceReranker, ignored_settings
from stonnx.verify.bare_folder import BareFolder
from stonnx.verify.metrics import compare
from stonnx.verify.original_facts import OriginalFacts, original_facts
from stonnx.verify.pair_probes import probe_pairs
from stonnx.verify.probes import probe_texts
from stonnx.verify.remembered import Remembered, recall, remember

__all__ = [
    "AnyOriginal",
    "Original",
    "OriginalReranker",
    "make_goldens",
    "make_pair_goldens",
    "run_original",
    "run_original_encoder",
    "run_original_reranker",
]

_SMALL_BATCH = 4  # with 32 rows, more than half of the tokens would be padding beside the long probe texts


@dataclass(frozen=True, kw_only=True)
class Original:
    """The original embedding model, and its vectors of some texts.

    Attributes:
        encoder: Runs it; None where its vectors were remembered.
        goldens: The texts and their vectors.
        bare_folder: None where sentence-transformers reads the source as stonnx does.
        position_cut: Where its texts were cut for want of positions; None where the files' limit fits.
        remembered_from: When it ran, UTC, ISO 8601, where its vectors were remembered; None where it ran now.
    """

    encoder: ReferenceEncoder | None
    goldens: Goldens
    bare_folder: BareFolder | None
    position_cut: PositionCut | None = None
    remembered_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class OriginalReranker:
    """The original reranker, and its scores of some pairs.

    Attributes:
        reranker: Runs it; None where its scores were remembered.
        goldens: The pairs and their scores.
        bare_folder: Always None: sentence-transformers reads every folder of a reranker as stonnx does.
        position_cut: Where its pairs were cut for want of positions; None where the files' limit fits.
        remembered_from: When it ran, UTC, ISO 8601, where its scores were remembered; None where it ran now.
    """

    reranker: ReferenceReranker | None
    goldens: PairGoldens
    bare_folder: None = None
    position_cut: PositionCut | None = None
    remembered_from: str | None = None


AnyOriginal = Original | OriginalReranker


def run_original(source: str | Path, *, kind: Kind, fresh: bool = False, on_step: OnStep = silent) -> AnyOriginal:
    """The original model's results of the probe texts, or, if it is a reranker, of the probe pairs.

    It runs once for a model and a machine (``stonnx.verify.remembered``).

    Args:
        source: Its folder, or a hub id.
        kind: What it makes.
        fresh: Run it, whatever is remembered.
        on_step: Called with a short sentence before each step.

    Raises:
        MissingExtraError: torch or sentence-transformers is not installed.
        UnsupportedModelError: There are no probes for this kind.
        RunError: sentence-transformers cannot load or run it.
    """
    if kind == "embedding":
        return run_original_encoder(source, fresh=fresh, on_step=on_step)
    if kind == "reranker":
        return run_original_reranker(source, fresh=fresh, on_step=on_step)
    raise UnsupportedModelError(f"A model of the kind {kind!r} cannot be verified yet.")


def run_original_encoder(
    source: str | Path, texts: Sequence[str] = (), *, fresh: bool = False, on_step: OnStep = silent
) -> Original:
    """The original embedding model's vectors of the probe texts.

    Args:
        source: Its folder, or a hub id.
        texts: Further texts; it runs on them in any case, and they are not remembered.
        fresh: Run it, whatever is remembered.
        on_step: Called with a short sentence before each step.

    Raises:
        MissingExtraError: torch or sentence-transformers is not installed.
        RunError: sentence-transformers cannot load or run it.
    """
    facts = None if texts else original_facts(source, kind="embedding", probes=probe_texts())
    found = _recalled(facts, fresh=fresh, on_step=on_step)
    if found is not None and isinstance(found.goldens, Goldens):
        return Original(
            encoder=None,
            goldens=found.goldens,
            bare_folder=found.bare_folder,
            position_cut=found.position_cut,
            remembered_from=found.ran_at,
        )
    encoder = ReferenceEncoder.load(source)
    goldens, bare = _told_of_bare_folder(source, make_goldens(encoder, (*probe_texts(), *texts)))
    original = Original(encoder=encoder, goldens=goldens, bare_folder=bare, position_cut=encoder.position_cut)
    _remember(facts, original)
    return original


def run_original_reranker(source: str | Path, *, fresh: bool = False, on_step: OnStep = silent) -> OriginalReranker:
    """The original reranker's scores of the probe pairs.

    Args:
        source: Its folder, or a hub id.
        fresh: Run it, whatever is remembered.
        on_step: Called with a short sentence before each step.

    Raises:
        MissingExtraError: torch or sentence-transformers is not installed.
        RunError: sentence-transformers cannot load or run it.
    """
    facts = original_facts(source, kind="reranker", probes=probe_pairs())
    found = _recalled(facts, fresh=fresh, on_step=on_step)
    if found is not None and isinstance(found.goldens, PairGoldens):
        return OriginalReranker(
            reranker=None, goldens=found.goldens, position_cut=found.position_cut, remembered_from=found.ran_at
        )
    reranker = ReferenceReranker.load(source)
    original = OriginalReranker(
        reranker=reranker, goldens=make_pair_goldens(reranker), position_cut=reranker.position_cut
    )
    _remember(facts, original)
    return original


def _recalled(facts: OriginalFacts | None, *, fresh: bool, on_step: OnStep) -> Remembered | None:
    found = None if facts is None or fresh else recall(facts)
    on_step("running the original model" if found is None else "the original model's results are remembered")
    return found


def _remember(facts: OriginalFacts | None, original: AnyOriginal) -> None:
    if facts is not None:
        kept = Remembered(
            goldens=original.goldens, bare_folder=original.bare_folder, position_cut=original.position_cut
        )
        remember(facts, kept)


def _told_of_bare_folder(source: str | Path, goldens: Goldens) -> tuple[Goldens, BareFolder | None]:
    """What sentence-transformers by itself makes of the source; the goldens tell of it where that is something else.

    Args:
        source: The model's folder, or a hub id.
        goldens: The vectors of the source as it is meant.
    """
    ignored = ignored_settings(source)
    if not ignored:
        return goldens, None
    as_it_is = ReferenceEncoder.load(source, as_it_is=True).encode(goldens.texts, batch_size=_SMALL_BATCH)
    if as_it_is.shape != goldens.vectors.shape:
        found = BareFolder(ignored=ignored, cosine_mean=0.0, cosine_min=0.0)
    else:
        between = compare(as_it_is, goldens.vectors).fidelity
        found = BareFolder(ignored=ignored, cosine_mean=between.cosine_mean, cosine_min=between.cosine_min)
    if found.differs:  # it travels with the vectors: whoever verifies them later is told as well
        told = {**goldens.reference, "without modules.json": f"other vectors, lowest cosine {found.cosine_min:.4f}"}
        goldens = replace(goldens, reference=told)
    return goldens, found


def make_goldens(reference: ReferenceEncoder, texts: Sequence[str] | None = None) -> Goldens:
    """The original model's vectors of the probe texts.

    Args:
        reference: The original model.
        texts: Other texts than the probe texts; None for those.
    """
    chosen = tuple(probe_texts() if texts is None else texts)
    vectors = reference.encode(chosen, batch_size=_SMALL_BATCH)
    return Goldens(texts=chosen, vectors=vectors, reference=_described(reference))


def make_pair_goldens(reference: ReferenceReranker, pairs: Sequence[tuple[str, str]] | None = None) -> PairGoldens:
    """The original reranker's scores and logits of the probe pairs.

    Args:
        reference: The original model.
        pairs: Other pairs than the probe pairs; None for those.
    """
    chosen = tuple(probe_pairs() if pairs is None else pairs)
    logits = reference.logits(chosen, batch_size=_SMALL_BATCH)
    return PairGoldens(pairs=chosen, scores=reference.scores_of(logits), logits=logits, reference=_described(reference))


def _described(reference: ReferenceEncoder | ReferenceReranker) -> dict[str, str]:
    """What made the results; it travels with them, so whoever verifies them later is told as well."""
    cut = reference.position_cut
    if cut is None:
        return dict(reference.versions)
    told = f"{cut.positions} tokens, as many as it has positions for; its files say {cut.files_tokens}"
    return {**reference.versions, "cut at": told}
