"""What sentence-transformers by itself makes of a folder without ``modules.json``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BareFolder"]

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
