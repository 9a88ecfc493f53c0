"""What the variants are compared with on this machine: the original's vectors, and the fp32 variant's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stonnx._timing import spread
from stonnx.artifact import Goldens
from stonnx.runtime import Encoder
from stonnx.verify import probe_texts

__all__ = ["Reference", "make_reference"]

_SAMPLE_TEXTS = 64


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Texts with reference vectors, and a sentence that says whose vectors they are."""

    goldens: Goldens
    described: str


def make_reference(encoder: Encoder, texts: Sequence[str]) -> Reference:
    """The original's vectors of the probe texts, and the encoder's of some of the user's texts.

    Probe texts may have calibrated an int8 variant; the user's texts have not, and are what matters to the user.
    Without goldens the encoder stands in for the original.

    Args:
        encoder: Runs the reference variant.
        texts: What is tuned for.

    Raises:
        ArtifactError: The goldens are damaged.
        RunError: The engine failed.
    """
    goldens = encoder.artifact.goldens()
    probes = set(probe_texts() if goldens is None else goldens.texts)
    name = encoder.variant.name
    sample = spread([text for text in dict.fromkeys(texts) if text not in probes], _SAMPLE_TEXTS)
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
