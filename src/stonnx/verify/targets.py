"""What the variants of an artifact are compared with, and how: one class for each kind of model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stonnx._steps import OnStep, silent
from stonnx.artifact import AnyGoldens, Artifact, Goldens, PairGoldens, Variant
from stonnx.errors import UnsupportedModelError, UsageError
from stonnx.reference import PositionCut
from stonnx.runtime import Encoder, Reranker, usable_cores
from stonnx.verify.bare_folder import BareFolder
from stonnx.verify.measure import measure_variant, pair_cosines
from stonnx.verify.measure_scores import measure_scores, pair_log_odds
from stonnx.verify.original import run_original_encoder, run_original_reranker
from stonnx.verify.pairs import LabelledPair
from stonnx.verify.report import AnyVariantReport, ScoreTolerance, Tolerance
from stonnx.verify.sample import some_pairs, some_texts

__all__ = ["Target", "golden_target", "original_target"]

_TOLERANCE = Tolerance()
_SCORE_TOLERANCE = ScoreTolerance()

_AnyGoldens = TypeVar("_AnyGoldens", Goldens, PairGoldens)


class Target(Protocol):
    """What variants are compared with."""

    @property
    def goldens(self) -> AnyGoldens:
        """The probes and the reference's results."""

    @property
    def tolerance(self) -> Tolerance | ScoreTolerance:
        """The bounds of the class ``exact``."""

    @property
    def bare_folder(self) -> BareFolder | None:
        """What sentence-transformers makes of the source by itself, where that is something else."""

    @property
    def position_cut(self) -> PositionCut | None:
        """Where the original was cut for want of positions."""

    @property
    def remembered_from(self) -> str | None:
        """When the original ran, where its results were remembered; None where it ran now, and of goldens."""

    def measure(self, artifact: Artifact, variant: Variant) -> AnyVariantReport:
        """Run a variant, compare, and hold it to its class.

        Raises:
            RunError: The engine failed.
        """


@dataclass(frozen=True, kw_only=True)
class _Embeddings:
    """Vectors of texts, and cosines of labelled pairs."""

    goldens: Goldens
    pairs: tuple[LabelledPair, ...]
    cosines: NDArray[np.float64] | None = None
    bare_folder: BareFolder | None = None
    position_cut: PositionCut | None = None
    remembered_from: str | None = None
    tolerance: Tolerance = _TOLERANCE

    def measure(self, artifact: Artifact, variant: Variant) -> AnyVariantReport:
        with Encoder.load(artifact, variant=variant.name, streams=usable_cores()) as encoder:
            return _least_proof(
                lambda goldens: measure_variant(encoder, goldens, pairs=self.pairs, reference_cosines=self.cosines),
                self.goldens,
                few=some_texts(self.goldens) if _needs_few(artifact, variant) else None,
            )


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """Scores of pairs."""

    goldens: PairGoldens
    pairs: tuple[LabelledPair, ...]
    odds: NDArray[np.float64] | None = None
    bare_folder: None = None
    position_cut: PositionCut | None = None
    remembered_from: str | None = None
    tolerance: ScoreTolerance = _SCORE_TOLERANCE

    def measure(self, artifact: Artifact, variant: Variant) -> AnyVariantReport:
        with Reranker.load(artifact, variant=variant.name, streams=usable_cores()) as reranker:
            return _least_proof(
                lambda goldens: measure_scores(reranker, goldens, pairs=self.pairs, reference_odds=self.odds),
                self.goldens,
                few=some_pairs(self.goldens) if _needs_few(artifact, variant) else None,
            )


def _needs_few(artifact: Artifact, variant: Variant) -> bool:
    """Whether a few probes are enough: a float32 variant that promises *exact*, beside the reference variant."""
    is_exact = variant.precision == "fp32" and variant.fidelity_class == "exact"
    return is_exact and variant.name != artifact.manifest.variants[0].name


def _least_proof(
    measure: Callable[[_AnyGoldens], AnyVariantReport], goldens: _AnyGoldens, *, few: _AnyGoldens | None
) -> AnyVariantReport:
    """The report of a variant on as few probes as prove it; on all of them where it does not keep its bounds there."""
    if few is not None:
        found = measure(few)
        if found.passed:
            return found
    return measure(goldens)


def original_target(
    artifact: Artifact,
    against: str | Path,
    *,
    texts: Sequence[str],
    pairs: Sequence[LabelledPair],
    fresh: bool = False,
    on_step: OnStep = silent,
) -> Target:
    """The original model, run now, or remembered from when it ran here.

    Args:
        artifact: The artifact.
        against: Folder or hub id of the original model.
        texts: Further texts to compare on; of embeddings only.
        pairs: Labelled pairs; the original runs on them in any case.
        fresh: Run the original, whatever is remembered.
        on_step: Called with a short sentence before each step.

    Raises:
        MissingExtraError: torch or sentence-transformers is not installed.
        UnsupportedModelError: There are no probes for this kind of model.
        UsageError: ``texts`` for a reranker, or the original's results are of another shape.
        RunError: sentence-transformers cannot load or run it.
    """
    kind = artifact.manifest.kind
    if kind == "embedding":
        original = run_original_encoder(against, texts, fresh=fresh or bool(pairs), on_step=on_step)
        _check_width(artifact, original.goldens, against, what="components")
        cosines = None if original.encoder is None else pair_cosines(original.encoder.encode, pairs)
        return _Embeddings(
            goldens=original.goldens,
            pairs=tuple(pairs),
            cosines=cosines,
            bare_folder=original.bare_folder,
            position_cut=original.position_cut,
            remembered_from=original.remembered_from,
        )
    if kind != "reranker":
        raise UnsupportedModelError(f"A model of the kind {kind!r} cannot be verified yet.")
    if texts:
        raise UsageError(
            f"{artifact.path} is a reranker: it scores pairs, not texts.",
            hint="Give labelled pairs of your own as pairs=...",
            cli_hint="Give labelled pairs of your own with --pairs FILE.",
        )
    run = run_original_reranker(against, fresh=fresh or bool(pairs), on_step=on_step)
    _check_width(artifact, run.goldens, against, what="labels")
    odds = None
    if run.reranker is not None:
        odds = pair_log_odds(run.reranker.logits, pairs, activation=run.reranker.activation)
    return _Scores(
        goldens=run.goldens,
        pairs=tuple(pairs),
        odds=odds,
        position_cut=run.position_cut,
        remembered_from=run.remembered_from,
    )


def golden_target(artifact: Artifact, *, pairs: Sequence[LabelledPair]) -> Target:
    """What the original model gave at convert time.

    Args:
        artifact: The artifact.
        pairs: Labelled pairs.

    Raises:
        ArtifactError: The goldens are damaged.
        UsageError: There are none.
    """
    goldens = artifact.goldens()
    if goldens is None:
        results = "scores" if artifact.manifest.kind == "reranker" else "vectors"
        raise UsageError(
            f"{artifact.path} is unverified: it was converted without the original model's {results}.",
            hint=f"stonnx verify {artifact.path} --against {artifact.manifest.source.name}, or convert again with "
            '"stonnx[reference]" installed.',
        )
    if isinstance(goldens, PairGoldens):
        return _Scores(goldens=goldens, pairs=tuple(pairs))
    return _Embeddings(goldens=goldens, pairs=tuple(pairs))


def _check_width(artifact: Artifact, goldens: AnyGoldens, against: str | Path, *, what: str) -> None:
    manifest = artifact.manifest
    if goldens.width not in (manifest.dimension, manifest.truncate_dim):
        raise UsageError(
            f"{against} gives {goldens.width} {what}, {artifact.path} {manifest.dimension}: they are not the same "
            "model.",
            hint="Name the model that the artifact was converted from.",
        )
