"""The options of a variant, checked against its engine's own list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stonnx.artifact.manifest import Variant
from stonnx.errors import ArtifactError

__all__ = ["check_options"]


def check_options(variant: Variant, allowed: Mapping[str, re.Pattern[str]], *, engine: str) -> None:
    """Refuse what the engine does not take.

    Args:
        variant: Its ``options`` are checked.
        allowed: What the values of each option look like, by the option's name.
        engine: What a message calls the engine.

    Raises:
        ArtifactError: An option is unknown, or has a value that is not allowed.
    """
    for name, value in variant.options.items():
        if name not in allowed or not allowed[name].fullmatch(value):
            known = ", ".join(f"{key} ({pattern.pattern})" for key, pattern in allowed.items())
            raise ArtifactError(
                f"The variant {variant.name!r} sets {name}={value!r} for {engine}; allowed are {known or 'none'}.",
                hint="Convert the model again.",
            )
