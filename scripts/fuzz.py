"""Feed broken files to everything that reads files of others: ``make fuzz``, longer with ``ARGS="--seconds 300"``.

Two engines look at each target, half of the time each: mutations of good files (``tests/fuzz/mutation.py``), and
atheris, which keeps what reaches new code (left out where it is not installed: ``pip install --group fuzz``).
A finding is an exception that is no StonnxError, an input that takes longer than 10 s, or one that needs more than
4 GiB. It is written to ``fuzz-findings/``; put it into ``tests/fuzz/seeds/TARGET/``, where a test repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib.util
import io
import logging
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FINDINGS = Path("fuzz-findings")
LONGEST_SECONDS = 10
MOST_BYTES = 4 * 1024**3
LARGEST_INPUT_BYTES = 64 * 1024


def main() -> int:
    """Run every target in a process of its own; 1 where something was found."""
    sys.path.insert(0, str(REPOSITORY))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10, help="for each target (default: 10)")
    parser.add_argument("--target", action="append", help="only this one; may be given more than once")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    parser.add_argument("--engine", choices=("mutation", "atheris"), help="run one target here, with this engine")
    arguments = parser.parse_args()
    if arguments.engine:
        return _run_one(arguments)
    from tests.fuzz.targets import TARGETS

    engines = ["mutation", *(["atheris"] if importlib.util.find_spec("atheris") else [])]
    print(f"engines: {', '.join(engines)}")
    failed = []
    for name in arguments.target or TARGETS:
        for engine in engines:
            print(f"== {name}, {engine}", flush=True)
            seconds = arguments.seconds / len(engines)
            command = [sys.executable, __file__, "--engine", engine, "--target", name, "--seconds", str(seconds)]
            if subprocess.run([*command, "--seed", str(arguments.seed)], check=False).returncode != 0:
                failed.append(f"{name} ({engine})")
    print(f"findings: {', '.join(failed)}; see {FINDINGS}/" if failed else "no findings")
    return 1 if failed else 0


def _run_one(arguments: argparse.Namespace) -> int:
    _limit_memory()
    logging.disable()  # what the readers remark on is no finding
    (name,) = arguments.target
    if arguments.engine == "atheris":
        return _atheris(name, arguments.seconds, arguments.seed)
    return _mutation(name, arguments.seconds, arguments.seed)


def _mutation(name: str, seconds: float, seed: int) -> int:
    from tests.fuzz.mutation import mutated
    from tests.fuzz.targets import TARGETS, seeds

    target = TARGETS[name]
    rng = random.Random(seed)  # noqa: S311 - repeatable is what it has to be
    good = seeds(target)
    kinds: set[str] = set()
    runs, slowest, end = 0, 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(rng.choice(good), rng, good)[:LARGEST_INPUT_BYTES]
        started = time.monotonic()
        faulthandler.dump_traceback_later(60, exit=True)  # what hangs is shown, and ends
        try:
            target.read(data)
        except BaseException as exc:
            if isinstance(exc, KeyboardInterrupt):
                raise
            kind = f"{type(exc).__name__} at {traceback.extract_tb(exc.__traceback__)[-1]}"
            if kind not in kinds:
                kinds.add(kind)
                traceback.print_exc()
                _keep(name, data)
        faulthandler.cancel_dump_traceback_later()
        taken = time.monotonic() - started
        if taken > LONGEST_SECONDS:
            kinds.add(f"{taken:.1f} s")
            _keep(name, data)
        runs, slowest = runs + 1, max(slowest, taken)
    print(f"{runs} inputs, the slowest {slowest * 1000:.0f} ms, {len(kinds)} kinds of findings", flush=True)
    return 1 if kinds else 0


def _atheris(name: str, seconds: float, seed: int) -> int:
    import atheris

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["stonnx"]):
        from tests.fuzz.targets import TARGETS, seeds
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds(target)):
            (Path(corpus) / f"seed{number}").write_bytes(data)
        FINDINGS.mkdir(exist_ok=True)
        options = [
            f"-max_total_time={max(1, round(seconds))}",
            f"-timeout={LONGEST_SECONDS}",
            f"-max_len={LARGEST_INPUT_BYTES}",
            f"-seed={seed + 1}",
            f"-artifact_prefix={FINDINGS}/{name}-",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, corpus], target.read)
        atheris.Fuzz()  # ends the process
    return 0


def _keep(name: str, data: bytes) -> None:
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"kept as {path}", flush=True)


def _limit_memory() -> None:
    """A process that wants too much gets a MemoryError, which is a finding; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


if __name__ == "__main__":
    sys.exit(main())
