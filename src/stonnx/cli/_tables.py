"""Tables that several verbs print."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stonnx.cli._console import Output
from stonnx.cli._score_tables import SCORE_COLUMNS, labels_text, pairs_text, score_cells
from stonnx.cli._text import plural, size_text

if TYPE_CHECKING:
    from stonnx.artifact import Artifact
    from stonnx.artifact.fidelity_class import AnyFidelity
    from stonnx.artifact.manifest import Fidelity, FidelityClass, Manifest, Stage, Variant
    from stonnx.bench import BenchReport, ProtocolResult
    from stonnx.reference import PositionCut
    from stonnx.verify import AnyVariantReport, BareFolder, Report

__all__ = [
    "UNSURE_CLASS",
    "class_text",
    "fidelity_cells",
    "figure_cells",
    "figure_columns",
    "file_rows",
    "machine_text",
    "model_rows",
    "overlap_text",
    "print_bench",
    "print_fidelity",
    "print_machine_fit",
    "print_verification",
    "ratio_text",
    "stages_text",
    "three_digits",
]

_FIDELITY_COLUMNS = ("variant", "texts", "cosine mean", "cosine min", "max |Δ|", "top-10")
UNSURE_CLASS = "? a mean is within two standard errors of a bound: other texts might give another class"
_MINOR_FILES = 100_000  # bytes; smaller files are summed up in one row


def model_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """What the model is, as names and values."""
    source = manifest.source.name + (f" at {manifest.source.revision}" if manifest.source.revision else "")
    rows = [
        ("source", source),
        ("kind", manifest.kind),
        ("architecture", manifest.architecture),
        *_result_rows(manifest),
        ("stages", stages_text(manifest)),
        ("prompts", ", ".join(manifest.tower.prompts) or "none"),
    ]
    if manifest.tower.default_prompt_name is not None:
        rows.append(("default prompt", manifest.tower.default_prompt_name))
    if manifest.truncate_dim is not None:
        rows.append(("components kept", f"the first {manifest.truncate_dim}"))
    return rows


def stages_text(manifest: Manifest) -> str:
    """The modules that a text goes through, with their options: ``Transformer > Pooling(pooling_mode mean)``."""
    return " > ".join(_stage_text(stage) for stage in manifest.stages)


def _result_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """What comes out, and of how long a text."""
    longest = plural(manifest.tower.tokenizer.max_tokens, "token")
    if manifest.scoring is not None:
        return [
            ("labels", labels_text(manifest.scoring)),
            ("activation", manifest.scoring.activation),
            ("longest pair", longest),
        ]
    return [
        ("dimension", str(manifest.dimension)),
        ("similarity", manifest.similarity or "not stated"),
        ("longest text", longest),
    ]


def file_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Files and sizes, the biggest first; small ones in one row, the total last."""
    files = sorted(manifest.files, key=lambda file: -file.size_bytes)
    big = [file for file in files if file.size_bytes >= _MINOR_FILES] or files[:1]
    small = files[len(big) :]
    rows = [(file.path, size_text(file.size_bytes)) for file in big]
    if small:
        rows.append((f"{plural(len(small), 'small file')}", size_text(sum(file.size_bytes for file in small))))
    rows.append(("total", size_text(sum(file.size_bytes for file in files))))
    return rows


def fidelity_cells(fidelity: Fidelity | None) -> list[str]:
    """The five numbers of a variant, as text."""
    if fidelity is None:
        return ["-", "not measured", "-", "-", "-"]
    return [
        f"{fidelity.texts:,}",
        f"{fidelity.cosine_mean:.7f}",
        f"{fidelity.cosine_min:.7f}",
        f"{fidelity.max_abs_diff:.1e}",
        f"{fidelity.top10_overlap:.2%}",
    ]


def print_fidelity(output: Output, variants: Sequence[Variant]) -> None:
    """The fidelity that the manifest carries, per variant."""
    from stonnx.artifact import ScoreFidelity

    rows, columns = [], _FIDELITY_COLUMNS
    for variant in variants:
        if isinstance(variant.fidelity, ScoreFidelity):
            columns = SCORE_COLUMNS
            rows.append([variant.name, *score_cells(variant.fidelity)])
        else:
            rows.append([variant.name, *fidelity_cells(variant.fidelity)])
    output.table(columns, rows)


def print_machine_fit(output: Output, artifact: Artifact) -> None:
    """Which variants run here, with their arithmetic and promised class, and what ``stonnx tune`` chose here."""
    from stonnx.runtime.choice import read_choice
    from stonnx.runtime.loading import why_not_here

    rows, reasons = [], []
    for variant in artifact.manifest.variants:
        why = why_not_here(variant)
        runs = "yes" if why is None else "no"
        rows.append([variant.name, variant.engine, variant.precision, variant.fidelity_class, runs])
        if why is not None:
            reasons.append(f"{variant.name}: {why}")
    output.table(("variant", "engine", "precision", "class", "runs here"), rows, left=2)
    for reason in reasons:
        output.item(reason)
    output.text()
    choice = read_choice(artifact)
    if choice is None:
        output.text("Not tuned for this machine; 'stonnx tune' finds the fastest settings.")
        return
    output.text(
        f'Tuned for this machine: variant "auto" is {choice.variant} here, {choice.settings.runs_text}, '
        f"batches of {choice.batch_tokens:,} tokens "
        f"(class {choice.fidelity}, {choice.aim}, {choice.tuned_at})."
    )


def print_verification(output: Output, report: Report) -> None:
    """A verification: numbers and class per variant, PASS or FAIL, what was compared with what, where."""
    with_pairs = any(variant.spearman is not None for variant in report.variants)
    # Eighty characters: the number of texts and the promised classes go below, and Spearman takes a column's place.
    figures = figure_columns(report.variants[0], with_pairs=with_pairs)
    columns = ["variant", *figures, "top-10", "class", "result"]
    rows = []
    for variant in report.variants:
        overlap = overlap_text(variant.fidelity, variant.overlap_error)
        found = class_text(variant.measured_class, is_sure=variant.class_is_sure)
        cells = figure_cells(variant, with_pairs=with_pairs)
        rows.append([variant.name, *cells, overlap, found, _verdict(passed=variant.passed)])
    output.table(columns, rows)
    _print_remarks(output, report)
    output.text()
    doubts = [] if all(variant.class_is_sure for variant in report.variants) else [("marks", UNSURE_CLASS)]
    output.fields(
        [
            ("promised", ", ".join(f"{variant.name} {variant.fidelity_class}" for variant in report.variants)),
            *doubts,
            *_compared_rows(report.variants),
            ("original", _original_text(report)),
            ("machine", machine_text(report.machine)),
        ]
    )


def figure_columns(variant: AnyVariantReport, *, with_pairs: bool) -> list[str]:
    """The headings of `figure_cells`."""
    from stonnx.verify import ScoreVariantReport

    if isinstance(variant, ScoreVariantReport):
        return ["mean |Δ|", "max |Δ|", "Spearman" if with_pairs else "logits"]
    return ["cos. mean", "cos. min", "Spearman" if with_pairs else "max |Δ|"]


def figure_cells(variant: AnyVariantReport, *, with_pairs: bool) -> list[str]:
    """Mean and worst figure, and Spearman or a further difference."""
    from stonnx.verify import ScoreVariantReport

    if isinstance(variant, ScoreVariantReport):
        _, mean, worst, *_ = score_cells(variant.fidelity)
        further = f"{variant.max_logit_diff:.1e}"
    else:
        _, mean, worst, further, _ = fidelity_cells(variant.fidelity)
    return [mean, worst, _spearman_text(variant.spearman) if with_pairs else further]


def _print_remarks(output: Output, report: Report) -> None:
    """What the numbers do not say: about Spearman, about failures, and what was left out."""
    original = next((v.reference_spearman for v in report.variants if v.reference_spearman is not None), None)
    if original is not None and not math.isnan(original):
        output.text(f"The original model's Spearman on these pairs is {original:.4f}.")
    if any(variant.spearman is not None and math.isnan(variant.spearman) for variant in report.variants):
        what = "scores" if report.kind == "reranker" else "similarities"
        output.text(f"Spearman is undefined (-) where the {what} of all pairs are equal: they have no order.")
    for variant in report.variants:
        for failure in variant.failures:
            output.item(f"{variant.name}: {failure}")
        if variant.failures:
            output.item(f"{variant.name}: the worst {_worst_text(variant)}")
    for skipped in report.skipped:
        output.item(f"{skipped.name}: skipped, {skipped.reason}")
    if report.bare_folder is not None and report.bare_folder.differs:
        output.item(_bare_folder_text(report.bare_folder))
    if report.position_cut is not None:
        output.item(_position_cut_text(report.position_cut))


def _worst_text(variant: AnyVariantReport) -> str:
    from stonnx.verify import ScoreVariantReport

    if isinstance(variant, ScoreVariantReport):
        return f"pair is {' with '.join(map(_shortened, variant.worst_pair))}"
    return f"text is {_shortened(variant.worst_text)}"


def _compared_rows(variants: Sequence[AnyVariantReport]) -> list[tuple[str, str]]:
    """How much was compared: the most of any variant, and which ones were proven on fewer."""
    from stonnx.artifact import ScoreFidelity

    most = max(variants, key=lambda variant: _compared(variant.fidelity)).fidelity
    if isinstance(most, ScoreFidelity):
        what = f"{pairs_text(most)}; |Δ| of probabilities; ± is twice the standard error of the mean"
    else:
        what = f"{most.texts:,}; ± is twice the standard error of the mean over them"
    noun = "pairs" if isinstance(most, ScoreFidelity) else "texts"
    few = [f"{v.name} {_compared(v.fidelity):,}" for v in variants if _compared(v.fidelity) < _compared(most)]
    return [(noun, what), *([(f"of those {noun}", f"{', '.join(few)}: enough for float32")] if few else [])]


def _compared(fidelity: AnyFidelity) -> int:
    """How many texts or pairs."""
    from stonnx.artifact import ScoreFidelity

    return fidelity.pairs if isinstance(fidelity, ScoreFidelity) else fidelity.texts


def _original_text(report: Report) -> str:
    """What the original ran on, and when, where it did not run now."""
    libraries = ", ".join(f"{name} {value}" for name, value in report.reference.items()) or "not stated"
    earlier = "" if report.remembered_from is None else f"; ran here at {report.remembered_from}, and was remembered"
    return libraries + earlier


def overlap_text(fidelity: AnyFidelity, error: float) -> str:
    """The overlap of neighbours or rankings with twice its standard error, ``97.2% ±1.1%``; bare where all agree."""
    if error == 0:
        return f"{fidelity.top10_overlap:.1%}"
    return f"{fidelity.top10_overlap:.1%} ±{2 * error:.1%}"


def class_text(found: FidelityClass | None, *, is_sure: bool) -> str:
    """The class, with a question mark where other texts might give another one (`UNSURE_CLASS`)."""
    return f"{found or 'none'}{'' if is_sure else '?'}"


def _bare_folder_text(folder: BareFolder) -> str:
    return (
        f"The source has no modules.json. stonnx honours {', '.join(folder.ignored)} beside the model, as it is meant; "
        f"sentence-transformers by itself ignores that and gives other vectors (mean cosine {folder.cosine_mean:.4f}, "
        f"lowest {folder.cosine_min:.4f})."
    )


def _position_cut_text(cut: PositionCut) -> str:
    return (
        f"The original's files allow {cut.files_tokens:,} tokens, but it has positions for {cut.positions:,} and fails "
        f"on longer texts: they were cut at {cut.positions:,} for it as well."
    )


def print_bench(output: Output, report: BenchReport) -> None:
    """A benchmark: both sides' numbers for each protocol, their ratio, and what was measured where."""
    labels = [report.variant, "portable" if report.against is None else "original"]
    rows: list[Sequence[str]] = []
    for protocol in report.protocols:
        times = (
            f"{ratio_text(protocol.ratio)} x",
            f"{ratio_text(protocol.ratio_low)} - {ratio_text(protocol.ratio_high)}",
        )
        rows.extend(
            (name, *cells, *(times if at == 0 else ("", "")))
            for at, (name, cells) in enumerate(_protocol_rows(protocol))
        )
    output.table(("protocol", "unit", *labels, "faster", "spread"), rows)
    output.text()
    noun = "text" if report.score_diff is None else "pair"
    counts = ", ".join(
        f"{protocol.name} {plural(protocol.texts, noun)} x {plural(protocol.rounds, 'round')}"
        for protocol in report.protocols
    )
    output.fields(
        [
            *zip(labels, report.sides, strict=True),
            _agreement_row(report),
            ("measured", f"{counts}; medians; the spread is that of the rounds"),
            ("threads", f"{report.threads} on either side" + _streams_text(report.streams)),
            ("machine", machine_text(report.machine)),
        ]
    )
    if report.position_cut is not None:
        output.item(_position_cut_text(report.position_cut))


def _agreement_row(report: BenchReport) -> tuple[str, str]:
    """Whether the two sides give the same."""
    if report.score_diff is not None:
        return "same scores?", f"largest difference of a probability between the two {report.score_diff:.6f}"
    return "same vectors?", f"lowest cosine between the two {report.cosine_min:.6f}"


def _streams_text(streams: int) -> str:
    return f"; up to {streams} engine runs at a time for stonnx" if streams > 1 else ""


def _protocol_rows(protocol: ProtocolResult) -> list[tuple[str, list[str]]]:
    from stonnx.bench import Latency

    sides = (protocol.a, protocol.b)
    single = [three_digits(side) for side in sides if not isinstance(side, Latency)]
    if single:
        return [(protocol.name, [protocol.unit, *single])]
    calls = [side for side in sides if isinstance(side, Latency)]
    return [
        (f"{protocol.name} p50", [protocol.unit, *(three_digits(side.p50) for side in calls)]),
        (f"{protocol.name} p95", [protocol.unit, *(three_digits(side.p95) for side in calls)]),
    ]


def three_digits(value: float) -> str:
    """A number with three significant digits: ``0.0123``, ``45.6``, ``1,234``."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def ratio_text(ratio: float) -> str:
    """How many times: ``1.25``, ``12.3``."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def machine_text(machine: Mapping[str, object]) -> str:
    """The machine in one line: processor, cores, system."""
    parts = [str(machine[name]) for name in ("cpu", "os") if machine.get(name)]
    cores = machine.get("usable_cores") or machine.get("logical_cores")
    if cores:
        parts.insert(1, f"{cores} cores")
    return ", ".join(parts) or "not stated"


def _spearman_text(spearman: float | None) -> str:
    return "-" if spearman is None or math.isnan(spearman) else f"{spearman:.4f}"


def _verdict(*, passed: bool) -> str:
    return "pass" if passed else "FAIL"


def _shortened(text: str, limit: int = 50) -> str:
    # Quoted as JSON: empty texts, spaces and control characters can be seen.
    return json.dumps(text if len(text) <= limit else text[:limit] + "…", ensure_ascii=False)


def _stage_text(stage: Stage) -> str:
    options = ", ".join(_option_text(name, value) for name, value in stage.options.items())
    return f"{stage.kind}({options})" if options else stage.kind


def _option_text(name: str, value: object) -> str:
    shown = "+".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return f"{name} {shown}"
