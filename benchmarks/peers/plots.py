"""The plots: speed against fidelity, and speed by length of the text. matplotlib, SVG, on a white card."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.labels import Box, place
from peers.recorded import Recorded, class_of, is_ours

__all__ = ["draw_fidelity", "draw_lengths"]

_CLASS_COLOURS = {"lossless": "#1b7837", "high": "#2166ac", "balanced": "#b8860b", "below": "#b2182b"}
_INK, _GRID, _OURS = "#24292f", "#d0d7de", "#6f42c1"
_LEAST_POWER = -7
_CLOSEST = 10.0**_LEAST_POWER  # distances below are drawn here: float32 rounding alone may differ by as much
_SHOWN_LINES = 7  # by length: more lines than this cannot be told apart
_SIZE_INCHES = (9.6, 6.0)


def draw_fidelity(found: Recorded, path: Path) -> None:
    """Speed to the right, closeness to the original upwards; one point and one name per side."""
    figure, axes = _card(f"{found.results['model']} on {found.machine['cpu']}: speed against fidelity")
    points = [(side["mix"]["ratio"], _distance(side)) for side in found.measured]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("times the speed of sentence-transformers on torch in float32 (texts/s, natural mix)")
    axes.set_ylabel("1 − mean cosine to the original (closer is higher)")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    axes.set_xlim(min([*xs, 0.8]) / 1.5, max([*xs, 1.25]) * 2.2)
    axes.set_ylim(max([*ys, 1e-2]) * 4, _CLOSEST / 40)
    _plain_ratio_ticks(axes)
    powers = [power for power in range(_LEAST_POWER, 1) if 10.0**power <= max([*ys, 1e-2]) * 4]
    names = [f"{'≤ ' if power == _LEAST_POWER else ''}$10^{{{power}}}$" for power in powers]
    axes.set_yticks([10.0**power for power in powers], names)
    axes.set_yticks([], minor=True)
    for side, (x, y) in zip(found.measured, points, strict=True):
        marker, size = ("D", 58) if is_ours(side) else ("o", 46)
        axes.scatter([x], [y], s=size, marker=marker, color=_CLASS_COLOURS[class_of(side)], zorder=3)
    _legend_of_classes(axes)
    _label_points(figure, axes, found.measured, points)
    _save(figure, path)


def draw_lengths(found: Recorded, path: Path) -> None:
    """× by length of the text, for the sides that are fastest on the mix, the original as the line at 1."""
    figure, axes = _card(f"{found.results['model']} on {found.machine['cpu']}: speed by length of the text")
    sides = _chosen([side for side in found.measured if _ratios(side)])
    axes.set_yscale("log")
    axes.set_xlabel("tokens per text")
    axes.set_ylabel("times the speed of sentence-transformers on torch in float32")
    lengths = [int(length) for length in sides[0]["lengths"]] if sides else []
    positions = list(range(len(lengths)))
    axes.set_xticks(positions, [str(length) for length in lengths])
    axes.set_xlim(-0.15, max(len(lengths) - 1, 1) + 1.1)  # room for the names on the right
    axes.axhline(1.0, color=_INK, linewidth=1, linestyle=":")
    palette = importlib.import_module("matplotlib").colormaps["tab10"]
    ends = []
    for number, side in enumerate(sides):
        ratios = _ratios(side)
        colour = palette(number % 10)
        style = "-" if is_ours(side) else "--"
        axes.plot(positions, ratios, style, marker="D" if is_ours(side) else "o", color=colour, linewidth=2)
        ends.append((ratios[-1], side, colour))
    _plain_ratio_ticks(axes, "y")
    _label_ends(figure, axes, positions[-1] if positions else 0, ends)
    _save(figure, path)


def _card(title: str) -> tuple[Any, Any]:
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "stonnx", "svg.fonttype": "path", "font.size": 10})
    figure, axes = importlib.import_module("matplotlib.pyplot").subplots(figsize=_SIZE_INCHES, layout="constrained")
    figure.set_facecolor("white")  # a white card is readable on a dark page as on a light one
    axes.set_title(title, color=_INK, fontsize=12, loc="left")
    axes.grid(which="major", color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=110)
    importlib.import_module("matplotlib.pyplot").close(figure)


def _distance(side: dict[str, Any]) -> float:
    return max(1.0 - float(side["fidelity"]["cosine_mean"]), _CLOSEST)


def _plain_ratio_ticks(axes: Any, which: str = "x") -> None:
    """Ticks such as 0.5, 1, 2, 3 instead of powers of ten."""
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    ticks = [
        tick for tick in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20) if low <= tick <= high
    ]
    setter = axes.set_xticks if which == "x" else axes.set_yticks
    setter(ticks, [f"{tick:g}" for tick in ticks])
    setter([], minor=True)


def _legend_of_classes(axes: Any) -> None:
    lines = importlib.import_module("matplotlib.lines")
    handles = [
        lines.Line2D([], [], linestyle="", marker="o", color=colour, label=name)
        for name, colour in _CLASS_COLOURS.items()
    ]
    handles.append(lines.Line2D([], [], linestyle="", marker="D", color=_INK, label="stonnx"))
    axes.legend(handles=handles, loc="best", frameon=True, framealpha=1, edgecolor=_GRID, title="fidelity class")


def _label_points(
    figure: Any, axes: Any, sides: Sequence[dict[str, Any]], points: Sequence[tuple[float, float]]
) -> None:
    """A name beside each point, where neither another name nor a point is; a thin line leads from far names."""
    figure.canvas.draw()
    pixels = [tuple(map(float, axes.transData.transform(point))) for point in points]
    texts = [axes.text(0, 0, _short(side), fontsize=8.5, color=_OURS if is_ours(side) else _INK) for side in sides]
    boxes = [text.get_window_extent() for text in texts]
    frame = axes.get_window_extent()
    legend = axes.get_legend().get_window_extent()
    placed = place(
        [(x, y) for x, y in pixels],
        [(box.width, box.height) for box in boxes],
        Box(frame.x0, frame.y0, frame.x1, frame.y1),
        [Box(legend.x0, legend.y0, legend.x1, legend.y1)],
    )
    inverse = axes.transData.inverted()
    for text, box, (x, y), point in zip(texts, placed, pixels, points, strict=True):
        text.set_position(inverse.transform((box.left, box.bottom + (box.top - box.bottom) * 0.2)))
        near = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
        if math.dist(near, (x, y)) > 12:
            (end_x, end_y) = inverse.transform(near)
            axes.plot([point[0], end_x], [point[1], end_y], color="#8c959f", linewidth=0.6, zorder=1)


def _label_ends(figure: Any, axes: Any, position: float, ends: Sequence[tuple[float, dict[str, Any], Any]]) -> None:
    """Names right of the lines' last points, pushed apart downwards from the top."""
    figure.canvas.draw()
    inverse = axes.transData.inverted()
    last_y = math.inf
    for ratio, side, colour in sorted(ends, key=lambda end: -end[0]):
        x, y = axes.transData.transform((position, ratio))
        last_y = min(y, last_y - 17)
        name_x, name_y = inverse.transform((x + 26, last_y))
        name = f"{_short(side)}: {class_of(side)}"
        axes.text(name_x, name_y, name, va="center", fontsize=8.5, color=colour)
        axes.plot([position, inverse.transform((x + 23, last_y))[0]], [ratio, name_y], color=colour, linewidth=0.6)


def _chosen(sides: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of stonnx the fastest side of each class, then the fastest peers, as many as can be told apart."""
    ours: dict[str, dict[str, Any]] = {}
    for side in sides:
        if is_ours(side):
            ours.setdefault(class_of(side), side)
    peers = [side for side in sides if not is_ours(side) and side["key"] != "st-torch"]
    return [*ours.values(), *peers[: _SHOWN_LINES - len(ours)]]


def _ratios(side: dict[str, Any]) -> list[float]:
    speeds = list(side.get("lengths", {}).values())
    return [speed["ratio"] for speed in speeds] if speeds and all("ratio" in speed for speed in speeds) else []


def _short(side: dict[str, Any]) -> str:
    """The title, shortened for a plot."""
    return str(side["title"]).replace("sentence-transformers", "ST").replace(" preset", "")
