"""The tables of ``stonnx tune``: speed per candidate with the frontier and the pick marked, then facts per variant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stonnx.cli._console import Output
from stonnx.cli._score_tables import score_cells
from stonnx.cli._tables import UNSURE_CLASS, class_text, machine_text, overlap_text, ratio_text, three_digits
from stonnx.cli._text import plural, size_text

if TYPE_CHECKING:
    from stonnx.tune import Row, TuneReport

__all__ = ["print_tuning"]

_FACT_COLUMNS = ("top-10", "files", "load", "memory")


def print_tuning(output: Output, report: TuneReport) -> None:
    """Both tables, how their numbers were measured, and why a variant is missing."""
    many, single = ("pairs/s", "one query") if report.kind == "reranker" else ("texts/s", "one text")
    columns = ("", "variant", "streams", "batch", many, "faster", single, "class")
    output.table(columns, [_speed_cells(report, index) for index in range(len(report.rows))], left=2)
    output.text()
    variants = {row.variant: row for row in reversed(report.rows)}
    firsts = [variants[name] for name in dict.fromkeys(row.variant for row in report.rows)]
    figures = ("mean |Δ|", "max |Δ|") if report.kind == "reranker" else ("mean cos", "min cos")
    output.table(("variant", *figures, *_FACT_COLUMNS), [_fact_cells(row) for row in firsts])
    output.text()
    for skipped in report.skipped:
        output.item(f"{skipped.name}: skipped, {skipped.reason}")
    wanted = report.options
    output.fields(
        [
            ("engines", _engines_text(firsts)),
            ("marks", f"→ the pick; * no other row is both faster and closer; class {wanted.fidelity} was wanted"),
            ("streams", "engine runs at a time x threads of each; by call: the threads go to one run, or to several"),
            ("faster", f"times {report.rows[0].variant} with default settings, by turns, median of the rounds"),
            ("measured", _measured_text(report)),
            ("took", _took_text(report)),
            ("class", f"compared with {report.compared_with}; ± is twice the standard error of the mean over them"),
            *([] if all(row.class_is_sure for row in report.rows) else [("", UNSURE_CLASS)]),
            ("machine", machine_text(report.machine)),
        ]
    )


def _measured_text(report: TuneReport) -> str:
    if report.kind == "reranker":
        return f"{plural(report.texts, 'pair')} in one call, and one query with 20 documents at a time (ms, median)"
    return f"{plural(report.texts, 'text')} in one call, and short ones one at a time (ms, median)"


def _took_text(report: TuneReport) -> str:
    took, asked = f"{report.seconds:.0f} s", report.options.seconds
    if report.seconds <= asked:
        return took
    return f"{took}, where {asked:.0f} s were asked for: every variant is measured, however long that takes"


def _engines_text(rows: Iterable[Row]) -> str:
    """Which engine runs which variants: ``onnxruntime 1.23: fp32, int8; openvino ...``."""
    by_engine: dict[str, list[str]] = {}
    for row in rows:
        by_engine.setdefault(row.engine, []).append(row.variant)
    return "; ".join(f"{engine}: {', '.join(names)}" for engine, names in by_engine.items())


def _speed_cells(report: TuneReport, index: int) -> list[str]:
    row = report.rows[index]
    mark = "→" if index == report.picked else "*" if index in report.on_frontier else ""
    return [
        mark,
        row.variant,
        "by call" if row.settings.by_call else f"{row.settings.streams} x {row.settings.threads_per_run}",
        f"{row.settings.batch_tokens:,}",
        three_digits(row.texts_per_second),
        f"{ratio_text(row.ratio)} x",
        f"{three_digits(row.latency_ms)} ms",
        class_text(row.found, is_sure=row.class_is_sure),
    ]


def _fact_cells(row: Row) -> list[str]:
    from stonnx.artifact import ScoreFidelity

    if isinstance(row.fidelity, ScoreFidelity):
        _, mean, worst, *_ = score_cells(row.fidelity)
    else:
        mean, worst = f"{row.fidelity.cosine_mean:.5f}", f"{row.fidelity.cosine_min:.5f}"
    return [
        row.variant,
        mean,
        worst,
        overlap_text(row.fidelity, row.overlap_error),
        size_text(row.size_bytes),
        f"{row.load_s:.2f} s",
        "-" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:.0f} MB",
    ]
