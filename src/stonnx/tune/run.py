"""``tune``: measure the base, then phase by phase what might be faster, and pick."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from stonnx._steps import OnStep, silent
from stonnx._timing import Clock, Item
from stonnx.artifact import Artifact, Variant
from stonnx.errors import UsageError
from stonnx.machine import describe_machine
from stonnx.runtime import usable_cores
from stonnx.runtime.loading import why_not_here
from stonnx.tune.contest import Contest, load_measured
from stonnx.tune.options import TuneOptions
from stonnx.tune.phases import Found, Phases, races_of_settings
from stonnx.tune.plan import Samples, Work, make_plan
from stonnx.tune.report import TuneReport, frontier, pick
from stonnx.tune.subject import subject_of
from stonnx.verify import SkippedVariant

__all__ = ["tune"]

_LOG = logging.getLogger("stonnx")

_DEFAULTS = TuneOptions()


def tune(
    artifact: Artifact | str | Path,
    texts: Sequence[Item],
    *,
    options: TuneOptions = _DEFAULTS,
    on_step: OnStep | None = None,
    clock: Clock = perf_counter,
) -> TuneReport:
    """Measure the variants, threads and batch budgets that this machine can run, and pick the fastest faithful one.

    Nothing is written: ``stonnx.runtime.choice.write_choice`` keeps the report's ``choice()``.

    Args:
        artifact: The artifact, or its folder.
        texts: A sample of what the user will encode, with its mix of lengths; for a reranker pairs (query, document).
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
    step = on_step or silent
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    subject = subject_of(opened, texts)
    items = tuple(dict.fromkeys(texts))
    step("checking the files")
    opened.check_files()
    runnable, skipped = _sorted_out(opened)
    step(f"measuring {runnable[0].name}, the base of all ratios")
    with load_measured(subject, opened, runnable[0], clock=clock) as (base, load_s, before):
        default = base.settings
        reference = subject.reference(base, items)
        begun = clock()
        compared = subject.measure(base, reference)
        work = Work(
            variants=len(runnable),
            settings=races_of_settings(default, options),
            variant_s=load_s + clock() - begun,
        )
        samples = Samples(items=items, single_calls=subject.single_calls(items))
        plan = make_plan(partial(subject.run, base), samples, work=work, options=options, clock=clock)
        if plan.least_s > options.seconds:
            _LOG.warning("%.0f s are too few: these variants take about %.0f s here", options.seconds, plan.least_s)
        contest = Contest(subject=subject, artifact=opened, base=base, reference=reference, plan=plan, clock=clock)
        phases = Phases(
            contest=contest, options=options, default=default, deadline=started + options.seconds, on_step=step
        )
        found = Found(raced=(contest.race_base(compared, load_s, before),), skipped=skipped)
        found = phases.variants(found, runnable[1:])
        found = phases.other_threads(found)
        found = phases.other_budgets(found)
        rows = contest.rows(found.raced)
    return TuneReport(
        artifact=opened.path,
        rows=rows,
        picked=pick(rows, wanted=options.fidelity, aim=options.aim),
        on_frontier=frontier(rows, aim=options.aim),
        skipped=found.skipped,
        options=options,
        compared_with=reference.described,
        texts=len(plan.many),
        seconds=clock() - started,
        least_seconds=plan.least_s,
        machine=describe_machine(usable_cores()),
        kind=opened.manifest.kind,
    )


def _sorted_out(artifact: Artifact) -> tuple[list[Variant], tuple[SkippedVariant, ...]]:
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
    skipped = tuple(SkippedVariant(name=variant.name, reason=why) for variant, why in reasons if why is not None)
    return sorted(runnable, key=lambda variant: variant.fidelity_class != "exact"), skipped
