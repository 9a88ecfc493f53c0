"""The rows of a verification while it runs: what was found of each variant as soon as it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stonnx.cli._tables import class_text, figure_cells, figure_columns

if TYPE_CHECKING:
    from stonnx.cli._progress import Steps
    from stonnx.verify import AnyVariantReport

__all__ = ["VariantRows"]


class VariantRows:
    """Takes the place of the step that measures a variant, below a line of headings.

    For example::

        with output.steps() as steps:
            verify(artifact, on_step=steps, on_variant=VariantRows(steps))

    Whether the promised class is kept stands in the table at the end: while converting, it is not given yet.

    Args:
        steps: Shows the steps.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._has_headings = False

    def __call__(self, found: AnyVariantReport) -> None:
        """The figures of a variant, which was measured just now."""
        if not self._has_headings:
            mean, worst, *_ = figure_columns(found, with_pairs=False)
            self._steps.line(_row("variant", mean, worst, "top-10", "class"))
            self._has_headings = True
        mean, worst, *_ = figure_cells(found, with_pairs=False)
        kept = class_text(found.measured_class, is_sure=found.class_is_sure)
        self._steps.found(_row(found.name, mean, worst, f"{found.fidelity.top10_overlap:.1%}", kept))


def _row(name: str, mean: str, worst: str, overlap: str, found: str) -> str:
    return f"{name:<20}{mean:>10}  {worst:>9}  {overlap:>6}  {found}"
