"""Class paths such as ``torch.nn.modules.activation.Tanh``, by which models name their activations."""

from __future__ import annotations

import re

__all__ = ["torch_class"]

_PATH = re.compile(r"torch\.nn\.(modules\.\w+\.)?(?P<name>[A-Z]\w*)")


def torch_class(path: str) -> str | None:
    """The name of the ``torch.nn`` class that ``path`` leads to; None where it leads elsewhere.

    No class is loaded: whether there is one of this name is for the caller to know. ::

        torch_class("torch.nn.modules.activation.Tanh")  # "Tanh"
        torch_class("torch.hub.load")  # None
    """
    match = _PATH.fullmatch(path)
    return None if match is None else match["name"]
