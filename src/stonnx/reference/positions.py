"""Where a model's files allow longer texts than it has positions for, the original is run with the texts cut there.

sentence-transformers counts the rows of the table of positions, or takes the files at their word. RoBERTa and its
relatives have fewer positions than rows: an id of padding, and the rows up to it, belong to no token. On a text of
more tokens sentence-transformers fails then, in the middle of a run, so there is nothing to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stonnx.reference.loading import import_reference

__all__ = ["PositionCut", "cut_to_positions"]


@dataclass(frozen=True, kw_only=True)
class PositionCut:
    """How the original was changed so that it runs on long texts.

    Attributes:
        files_tokens: The longest row that its files allow, special tokens included.
        positions: The longest row that it has positions for, where texts were cut instead.
    """

    files_tokens: int
    positions: int


def cut_to_positions(model: Any) -> PositionCut | None:
    """Have a model cut texts where its own table of positions ends, if its files let them be longer.

    Args:
        model: A ``SentenceTransformer`` or ``CrossEncoder``; its ``max_seq_length`` is set.

    Returns:
        What was changed; None where the files' limit fits, or the model has no table of positions.
    """
    torch, _ = import_reference()
    modules = (module for name, module in model.named_modules() if name.rpartition(".")[2] == "position_embeddings")
    tables = [module for module in modules if isinstance(module, torch.nn.Embedding)]
    allowed = model.max_seq_length
    if allowed is None or not tables:
        return None
    positions = min(_room(table) for table in tables)
    if allowed <= positions:
        return None
    model.max_seq_length = positions
    return PositionCut(files_tokens=int(allowed), positions=positions)


def _room(table: Any) -> int:
    # With an id of padding, tokens are counted from the row after it.
    rows, padding = int(table.num_embeddings), table.padding_idx
    return rows if padding is None else rows - int(padding) - 1
