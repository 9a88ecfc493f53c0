"""``tune``: variants first, with default settings; then threads and batch budgets, for those that could win."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from stonnx._timing import Clock
from stonnx.artifact import Artifact, Variant, keeps
from stonnx.artifact.machine import describe_machine
from stonnx.errors import StonnxError, UsageError
from stonnx.runtime import usable_cores
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.streams import RunSettings
from stonnx.tune.bench import Bench, Work, load_measured, make_plan, settings_of
from stonnx.tune.fidelity import make_reference
from stonnx.tune.options import TuneOptions, budgets_to_try, threads_to_try
from stonnx.tune.report import Row, TuneReport, frontier, pick
from stonnx.verify import SkippedVariant, measure_variant

__all__ = ["tune"]

_LOG = logging.getLogger("stonnx")

OnStep = Callable[[str], None]

_DEFAULTS = TuneOptions()
_CONTENDERS = 2
_BUDGETS = {"throughput": 3, "latency": 0}  # races with other batch budgets
_COULD_WIN = 0.75  # of the best speed with default settings: threads and budgets seldom bring more than a third


def tune(
    artifact: Artifact | str | Path,
    texts: Sequence[str],
    *,
    options: TuneOptions = _DEFAULTS,
    on_step: OnStep | None = None,
    clock: Clock = perf_counter,
) -> TuneReport:
    """Measure the variants, threads and batch budgets that this machine can run, and pick the fastest faithful one.

    Nothing is written: ``stonnx.runtime.choice.write_choice`` keeps the report's ``choice()``.

    Args:
        artifact: The artifact, or its folder.
        texts: What to encode: a sample of what the user will encode, with its mix of lengths.
        options: The fidelity that is wanted, what is to be fast, and for how long to measure.
        on_step: Called with a short sentence before each step.
        clock: Where seconds come from.

    Raises:
        UsageError: There are no texts, or an option makes no sense.
        ArtifactError: The artifact is missing or damaged.
        MissingExtraError: No engine is installed.
        UnsupportedModelError: No variant can run on this CPU.
        RunError: The engine of the reference variant failed.
    """
    started = clock()
    options.check()
    if not texts or isinstance(texts, str):
        raise UsageError("There are no texts to tune for.", hint="Give a list of texts like those you will encode.")
    step = on_step or _silent
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    step("checking the files")
    opened.check_files()
    runnable, skipped = _sorted_out(opened)
    step(f"measuring {runnable[0].name}, the base of all ratios")
    with load_measured(opened, runnable[0], clock=clock) as (base, load_s, before):
        default = settings_of(base)
        reference = make_reference(base, texts)
        begun = clock()
        compared = measure_variant(base, reference.goldens)
        work = Work(
            variants=len(runnable),
            settings=_CONTENDERS * len(threads_to_try(default, options.aim)) + _BUDGETS[options.aim],
            variant_s=load_s + clock() - begun,
        )
        plan = make_plan(base, tuple(dict.fromkeys(texts)), work=work, options=options, clock=clock)
        if plan.least_s > options.seconds:
            _LOG.warning("%.0f s are too few: these variants take about %.0f s here", options.seconds, plan.least_s)
        bench = Bench(artifact=opened, base=base, reference=reference, plan=plan, clock=clock)
        bench.add_base(compared, load_s, before)
        for variant in runnable[1:]:
            step(f"measuring {variant.name}")
            _attempt(partial(bench.add_variant, variant), variant.name, skipped)
        for row, settings in _settings_to_try(bench, default, options):
            tried = f"{row.variant}, {settings.streams} x {settings.threads_per_run} threads"
            if clock() - started >= options.seconds:
                skipped.append(SkippedVariant(name=f"{tried} and other settings", reason="no time was left"))
                break
            step(f"measuring {tried}, batches of {settings.batch_tokens:,} tokens")
            _attempt(partial(bench.add_settings, row, settings), tried, skipped)
        rows = bench.rows()
    return TuneReport(
        artifact=opened.path,
        rows=rows,
        picked=pick(rows, wanted=options.fidelity, aim=options.aim),
        on_frontier=frontier(rows, aim=options.aim),
        skipped=tuple(skipped),
        options=options,
        compared_with=reference.described,
        texts=len(plan.many),
        seconds=clock() - started,
        least_seconds=plan.least_s,
        machine=describe_machine(usable_cores()),
    )


def _silent(_: str) -> None:
    """Library code says nothing by itself."""


def _sorted_out(artifact: Artifact) -> tuple[list[Variant], list[SkippedVariant]]:
    """The variants that can run here, the first exact one in front, and why the others cannot.

    Raises:
        MissingExtraError: None can, because no engine is installed.
        UnsupportedModelError: None can on this CPU.
    """
    reasons = [(variant, why_not_here(variant)) for variant in artifact.manifest.variants]
    runnable = [variant for variant, why in reasons if why is None]
    if not runnable:
        # Opening the reference variant says what is missing, and what to do.
        runnable = [artifact.manifest.variants[0]]
    skipped = [SkippedVariant(name=variant.name, reason=why) for variant, why in reasons if why is not None]
    return sorted(runnable, key=lambda variant: variant.fidelity_class != "exact"), skipped


def _attempt(measure: Callable[[], None], name: str, skipped: list[SkippedVariant]) -> None:
    """Measure a candidate; one that fails is left out, and the tuning goes on."""
    try:
        measure()
    except StonnxError as exc:
        skipped.append(SkippedVariant(name=name, reason=exc.message))


def _settings_to_try(bench: Bench, default: RunSettings, options: TuneOptions) -> Iterator[tuple[Row, RunSettings]]:
    """Other threads for the variants that could win; then, step by step, other batches for the one that leads.

    What comes later depends on what was measured by then.
    """
    for row in _contenders(bench.rows(), options):
        for settings in threads_to_try(default, options.aim):
            yield row, settings
    leader = _leader(bench, options)
    if leader is None or options.aim == "latency":  # one text is one batch
        return
    for settings in budgets_to_try(leader.settings, default):
        yield leader, settings
    better = _leader(bench, options)
    if better is not None and better.settings.batch_tokens != leader.settings.batch_tokens:
        for settings in budgets_to_try(better.settings, default):
            yield better, settings


def _leader(bench: Bench, options: TuneOptions) -> Row | None:
    rows = bench.rows()
    index = pick(rows, wanted=options.fidelity, aim=options.aim)
    return None if index is None else rows[index]


def _contenders(rows: Sequence[Row], options: TuneOptions) -> list[Row]:
    """The fastest rows that keep the wanted class and are not far behind the first of them."""
    faithful = [row for row in rows if keeps(row.found, options.fidelity)]
    ordered = sorted(faithful, key=lambda row: -row.speed(options.aim))[:_CONTENDERS]
    return [row for row in ordered if row.speed(options.aim) >= _COULD_WIN * ordered[0].speed(options.aim)]
