"""What a family of encoders is to the rest of stonnx."""

from __future__ import annotations

from typing import Protocol

from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["Architecture"]


class Architecture(Protocol):
    """An encoder that can be authored: a configuration that was checked."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What may stand before the tensor names in a checkpoint."""
        ...

    @property
    def width(self) -> int:
        """Length of a token vector."""
        ...

    @property
    def vocabulary(self) -> int:
        """Rows of the table of words."""
        ...

    @property
    def token_types(self) -> bool:
        """Whether the encoder tells ``token_type_ids`` apart."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """Longest row that the encoder has positions for, in tokens; None for no limit."""
        ...

    @property
    def padding_id(self) -> int | None:
        """The token id that the encoder itself takes for padding, wherever it stands; None where there is none."""
        ...

    @property
    def layer_count(self) -> int:
        """How many layers a text runs through."""
        ...

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that the encoder needs, by name."""
        ...

    def embed(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the embeddings.

        Returns:
            What the first layer takes, float32, shape (rows, tokens, width).

        Raises:
            CannotWriteError: The dialect has no form for a part of them.
        """
        ...

    def author_layers(
        self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs, x: str, layers: range
    ) -> str:
        """Write some of the layers, and after the last of all what follows it.

        Args:
            g: The graph.
            p: The encoder's tensors.
            dialect: How the parts are written.
            inputs: The graph's inputs.
            x: What the first of these layers takes, float32, shape (rows, tokens, width).
            layers: Which ones, without gaps: ``range(start, stop)`` within ``layer_count``.

        Returns:
            The result of the last of them, float32, shape (rows, tokens, width).

        Raises:
            CannotWriteError: The dialect has no form for a part of a layer.
        """
        ...

    def author(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the encoder: its embeddings and all of its layers.

        Returns:
            The last hidden state, float32, shape (rows, tokens, width).

        Raises:
            CannotWriteError: The dialect has no form for a part of it.
        """
        ...
