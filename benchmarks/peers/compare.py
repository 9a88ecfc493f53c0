"""One model, all sides: environments, preparation, starts, then the measured phases in order."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from peers import envs, results
from peers.catalog import BASELINE, LEFT_OUT, Side, peers_here, stonnx_sides
from peers.conductor import Worker, WorkerError, prepare, without_paths
from peers.job import Job
from peers.measure import Entry, Plan, Unit, embed, take_turns
from peers.models import Model, traits
from peers.texts import LENGTHS, Texts, read_texts

__all__ = ["Settings", "compare_on"]

_SLICES = 4
_LATENCY_TEXTS, _LATENCY_TURN = 50, 10
_WARM_UP_TEXTS = 16
_TOO_SLOW = 8.0  # times the original's time for these: waiting for such a side would take the whole run


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of the command, for one model: see ``run.py --help``."""

    envs: Path
    cache: Path
    shared: Path
    artifacts: Path | None
    threads: int
    only: tuple[str, ...]
    texts: int
    length_tokens: int
    rounds: int
    seconds: float
    starts: int
    timeout_seconds: float
    sts: bool


def compare_on(model: Model, name: str, settings: Settings) -> dict[str, object] | None:
    """Measure every side on one model.

    Returns:
        The results, or None where not even the original runs; the reason is on stderr.
    """
    print(f"{name}:", file=sys.stderr)
    source = model.fetch(settings.cache, settings.shared)
    artifact = settings.artifacts / name if settings.artifacts else _artifact(source, settings.cache / f"{name}-stonnx")
    known = traits(artifact)
    texts = _texts(model, artifact, known["max_tokens"], settings)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        calibration = work / "calibration.jsonl"
        calibration.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts.calibration), "utf-8")
        entries = [Entry(side=side) for side in _sides(known["variants"], settings.only)]
        original = entries[0]
        paths = {"source": source, "artifact": artifact, "calibration": calibration, "prepared": settings.cache / name}
        jobs = {entry.side.key: _job(entry.side, paths, known, settings.threads) for entry in entries}
        for entry in entries:
            _get_ready(entry, jobs[entry.side.key], work, settings)
        try:
            _start(entries, jobs, work, settings)
            if original.worker is None:
                print(f"{name}: the original does not run: {original.error}", file=sys.stderr)
                return None
            _measure(entries, texts, work, settings)
            if settings.sts and model.sts:
                _sts(entries, settings.shared / "data/sts" / model.sts, work)
        except KeyboardInterrupt:
            print("interrupted: the results have what was measured so far", file=sys.stderr)
        finally:
            for entry in entries:
                if entry.worker:
                    entry.worker.close()
    return {
        "model": model.title,
        "corpus": model.corpus,
        "texts": len(texts.mix),
        "tokens": texts.tokens,
        "max_tokens": known["max_tokens"],
        "threads": settings.threads,
        "slices": len(texts.slices),
        "sides": [results.summary(entry, original, texts) for entry in entries],
        "left_out": dict(LEFT_OUT),
    }


def _artifact(source: Path, target: Path) -> Path:
    """The folder that stonnx makes, anew, by the command that a user would give."""
    help_text = _stonnx("convert", "--help").stdout
    optional = [option for option in ("--int8",) if option in help_text]
    print(f"  converting {source.name}", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    done = _stonnx("convert", str(source), str(target), "--force", *optional)
    if done.returncode:
        raise SystemExit(f"stonnx convert failed:\n{done.stderr}")
    return target


def _stonnx(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "stonnx", *arguments], capture_output=True, text=True, check=False)


def _texts(model: Model, artifact: Path, limit: int, settings: Settings) -> Texts:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(artifact / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = {
        "mix": settings.texts,
        "slices": _SLICES,
        "short": _LATENCY_TEXTS,
        "length_tokens": settings.length_tokens,
    }
    return read_texts(settings.shared / "data/corpora" / model.corpus, tokenizer, limit, counts)


def _sides(variants: list[str], only: Sequence[str]) -> list[Side]:
    """The original first, then stonnx's own, then the peers; of the latter those that were asked for."""
    from stonnx.machine import describe_machine

    sets = describe_machine()["instruction_sets"]
    peers = peers_here(list(sets) if isinstance(sets, list) else [])
    original = next(side for side in peers if side.key == BASELINE)
    others = [*stonnx_sides(variants), *(side for side in peers if side is not original)]
    wanted = [side for side in others if not only or side.key in only or (not side.env and "stonnx" in only)]
    return [original, *wanted]


def _job(side: Side, paths: dict[str, Path], known: dict[str, Any], threads: int) -> Job:
    return Job(
        backend=side.backend,
        name=paths["prepared"].name,
        source=str(paths["source"]),
        artifact=str(paths["artifact"]),
        prepared=f"{paths['prepared']}-{side.key}",
        calibration=str(paths["calibration"]),
        threads=threads,
        pooling=known["pooling"],
        normalize=known["normalize"],
        dimension=known["dimension"],
        max_tokens=known["max_tokens"],
        options=side.options,
    )


def _python(side: Side, settings: Settings) -> Path:
    return envs.python_of(side.env, settings.envs) if side.env else Path(sys.executable)


def _get_ready(entry: Entry, job: Job, work: Path, settings: Settings) -> None:
    """Build the environment and let the backend prepare, each once; a failure drops the side."""
    try:
        if entry.side.env:
            envs.build(entry.side.env, settings.envs)
        if entry.side.prepared:
            entry.prepare_seconds = _prepared(entry.side, job, work, settings)
    except (envs.RecipeError, WorkerError) as error:
        entry.drop(without_paths(str(error)))


def _prepared(side: Side, job: Job, work: Path, settings: Settings) -> float:
    folder = Path(job.prepared)
    stamp = folder / ".prepared"
    if not stamp.is_file():
        print(f"  preparing {side.key}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        seconds = prepare(_python(side, settings), job, work / "prepare.log", settings.timeout_seconds)
        stamp.write_text(repr(seconds), encoding="ascii")
    return float(stamp.read_text(encoding="ascii"))


def _start(entries: Sequence[Entry], jobs: dict[str, Job], work: Path, settings: Settings) -> None:
    """Start every side several times, by turns; the last process of each stays."""
    for number in range(settings.starts):
        for entry in entries:
            if entry.error:
                continue
            if entry.worker:
                entry.worker.close()
            log = work / f"{entry.side.key}.log"
            try:
                entry.worker = Worker(
                    _python(entry.side, settings), jobs[entry.side.key], log, settings.timeout_seconds
                )
                entry.starts.append(entry.worker.ready)
            except WorkerError as error:
                entry.worker = None
                entry.drop(str(error))
        print(f"  started: {number + 1}", file=sys.stderr)


def _measure(entries: Sequence[Entry], texts: Texts, work: Path, settings: Settings) -> None:
    plan = Plan(rounds=settings.rounds, seconds=settings.seconds)
    warm_up = sorted(texts.mix, key=len)[:: max(1, len(texts.mix) // _WARM_UP_TEXTS)]
    seconds = [_timed_warm_up(entry, warm_up, work) for entry in entries]
    for entry, mine in zip(entries, seconds, strict=True):
        if entry.worker and mine > _TOO_SLOW * seconds[0]:
            entry.drop(f"too slow: {mine:.0f} s for {len(warm_up)} texts, the original {seconds[0]:.1f} s")
    mix = [Unit(calls=[[texts.mix[index] for index in part]]) for part in texts.slices]
    take_turns(entries, "mix", mix, plan, out=work / "mix.npy")
    for length in LENGTHS:
        found = texts.lengths[length]
        take_turns(entries, f"length {length}", [Unit(calls=[found], warm_up=[found[:8]])], plan)
    short = [[text] for text in texts.short]
    parts = [short[start : start + _LATENCY_TURN] for start in range(0, len(short), _LATENCY_TURN)]
    take_turns(entries, "latency", [Unit(calls=part, warm_up=part[:2]) for part in parts], plan)


def _timed_warm_up(entry: Entry, texts: Sequence[str], work: Path) -> float:
    """Seconds for the second time that a side encodes the texts; the first is to warm up."""
    embed(entry, texts, work / "warm-up.npy")
    start = perf_counter()
    embed(entry, texts, work / "warm-up.npy")
    return perf_counter() - start


def _sts(entries: Sequence[Entry], path: Path, work: Path) -> None:
    """Spearman between the cosine of each pair and its label, per side."""
    from stonnx.verify.metrics import cosines, spearman

    pairs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    labels = np.array([pair["score"] for pair in pairs], dtype=np.float64)
    for entry in entries:
        vectors = embed(entry, [pair[key] for key in ("s1", "s2") for pair in pairs], work / "sts.npy")
        if vectors is not None:
            entry.sts = spearman(cosines(vectors[: len(pairs)], vectors[len(pairs) :]), labels)
            print(f"  sts: {entry.side.key}", file=sys.stderr)
