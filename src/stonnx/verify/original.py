"""The original model's side of a verification: its vectors, and what it makes of a folder without ``modules.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stonnx.artifact import Goldens
from stonnx.reference import ReferenceEncoder, ignored_settings
from stonnx.verify.metrics import compare
from stonnx.verify.probes import probe_texts

__all__ = ["BareFolder", "Original", "make_goldens", "run_original"]

_SMALL_BATCH = 4  # with 32 rows, more than half of the tokens would be padding beside the long probe texts
_SAME = 0.999999  # the lowest cosine of two runs of one model


@dataclass(frozen=True, kw_only=True)
class BareFolder:
    """A source without ``modules.json``, which sentence-transformers by itself reads in another way than it is meant.

    Attributes:
        ignored: The settings that stonnx honours and sentence-transformers ignores there, POSIX paths.
        cosine_mean: Mean cosine between what sentence-transformers gives for the folder as it is and what the settings
            mean.
        cosine_min: The lowest such cosine.
    """

    ignored: tuple[str, ...]
    cosine_mean: float
    cosine_min: float

    @property
    def differs(self) -> bool:
        """Whether the settings change the vectors."""
        return self.cosine_min < _SAME


@dataclass(frozen=True, kw_only=True)
class Original:
    """The original model, and its vectors of some texts.

    Attributes:
        encoder: Runs it.
        goldens: The texts and their vectors.
        bare_folder: None where sentence-transformers reads the source as stonnx does.
    """

    encoder: ReferenceEncoder
    goldens: Goldens
    bare_folder: BareFolder | None


def run_original(source: str | Path, texts: Sequence[str] | None = None) -> Original:
    """Run the original model on the probe texts.

    Args:
        source: Its folder, or a hub id.
        texts: Further texts.

    Raises:
        MissingExtraError: torch or sentence-transformers is not installed.
        RunError: sentence-transformers cannot load or run it.
    """
    encoder = ReferenceEncoder.load(source)
    goldens = make_goldens(encoder, (*probe_texts(), *(texts or ())))
    ignored = ignored_settings(source)
    if not ignored:
        return Original(encoder=encoder, goldens=goldens, bare_folder=None)
    as_it_is = ReferenceEncoder.load(source, as_it_is=True).encode(goldens.texts, batch_size=_SMALL_BATCH)
    if as_it_is.shape != goldens.vectors.shape:
        found = BareFolder(ignored=ignored, cosine_mean=0.0, cosine_min=0.0)
    else:
        between = compare(as_it_is, goldens.vectors).fidelity
        found = BareFolder(ignored=ignored, cosine_mean=between.cosine_mean, cosine_min=between.cosine_min)
    if found.differs:  # it travels with the vectors: whoever verifies them later is told as well
        told = {**goldens.reference, "without modules.json": f"other vectors, lowest cosine {found.cosine_min:.4f}"}
        goldens = replace(goldens, reference=told)
    return Original(encoder=encoder, goldens=goldens, bare_folder=found)


def make_goldens(reference: ReferenceEncoder, texts: Sequence[str] | None = None) -> Goldens:
    """The original model's vectors of the probe texts.

    Args:
        reference: The original model.
        texts: Other texts than the probe texts; None for those.
    """
    chosen = tuple(probe_texts() if texts is None else texts)
    vectors = reference.encode(chosen, batch_size=_SMALL_BATCH)
    return Goldens(texts=chosen, vectors=vectors, reference=reference.versions)
