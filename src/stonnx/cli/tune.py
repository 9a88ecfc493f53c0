"""``stonnx tune ARTIFACT``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stonnx.cli._arguments import positive_number
from stonnx.cli._console import Output
from stonnx.cli._exit import ExitCode
from stonnx.cli._pairs import add_pair_file, items_of_files
from stonnx.cli._texts import add_text_file

if TYPE_CHECKING:
    from stonnx._timing import Item
    from stonnx.artifact import Artifact
    from stonnx.tune import TuneReport

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Measure what this machine can run of an artifact: its variants, then threads and
batch sizes for those that could win. Every variant is compared again with the
original model's results that the artifact carries. The fastest one that keeps
the wanted fidelity is remembered for this machine, beside the artifact, and
variant "auto" uses it here from then on. The fidelity classes:
  lossless   mean cosine 0.9999, lowest 0.99, 99 % of the ten nearest neighbours
  high       mean cosine 0.999, lowest 0.99, 97 % of the ten nearest neighbours
  balanced   mean cosine 0.997, lowest 0.97, 95 % of the ten nearest neighbours
Of a reranker, by differences of probabilities and the ten best of 20 documents:
  lossless   mean difference 0.0015, largest 0.05, 99 % of the ten best
  high       mean difference 0.005, largest 0.1, 97 % of the ten best
  balanced   mean difference 0.01, largest 0.2, 95 % of the ten best"""

EXAMPLES = """\
examples:
  stonnx tune m3e-base-onnx
  stonnx tune m3e-base-onnx --texts my-texts.txt --fidelity lossless
  stonnx tune m3e-base-onnx --latency --dry-run"""

_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a folder that 'stonnx convert' wrote")
    add_text_file(parser, "--texts", "texts like yours: ", default="shipped ones")
    add_pair_file(parser, "pairs like yours")
    parser.add_argument(
        "--fidelity",
        metavar="CLASS",
        choices=("lossless", "high", "balanced"),
        default="high",
        help="the class to keep: lossless, high (the default) or balanced",
    )
    aim = parser.add_mutually_exclusive_group()
    aim.add_argument(
        "--throughput", dest="aim", action="store_const", const="throughput", help="for many texts (the default)"
    )
    aim.add_argument(
        "--latency", dest="aim", action="store_const", const="latency", help="for one text, or one query, at a time"
    )
    parser.set_defaults(aim="throughput")
    parser.add_argument(
        "--seconds",
        metavar="N",
        type=positive_number,
        default=_SECONDS,
        help=f"time for all of it, about, unless the variants alone take longer (default: {_SECONDS:.0f})",
    )
    parser.add_argument("--dry-run", action="store_true", help="measure, but do not remember the choice")


def run(args: argparse.Namespace) -> int:
    """Tune, print the table, write the choice.

    Raises:
        StonnxError: A file cannot be read, no engine is installed, or the choice cannot be written.
    """
    from stonnx.artifact import Artifact
    from stonnx.runtime.choice import write_choice
    from stonnx.tune import TuneOptions, tune

    output = Output.of(args)
    artifact = Artifact.open(args.artifact)
    items = _items(args, artifact)
    output.say(f"Tuning {args.artifact} for this machine, in about {args.seconds:.0f} seconds")
    options = TuneOptions(fidelity=args.fidelity, aim=args.aim, seconds=args.seconds)
    with output.steps() as on_step:
        report = tune(artifact, items, options=options, on_step=on_step)
    choice = report.choice()
    path = None if choice is None or args.dry_run else write_choice(artifact, choice)
    if output.json_mode:
        output.data({**report.to_json(), "written": None if path is None else str(path)})
    else:
        _print(output, report, path)
    return int(ExitCode.VERIFICATION_FAILED if choice is None else ExitCode.OK)


def _items(args: argparse.Namespace, artifact: Artifact) -> tuple[Item, ...]:
    """The user's texts or pairs, or the shipped ones in the model's language."""
    from stonnx.bench.material import chosen_items

    return chosen_items(artifact, items_of_files(args))


def _print(output: Output, report: TuneReport, path: Path | None) -> None:
    from stonnx.cli._tune_tables import print_tuning

    output.heading(f"{report.artifact}, on this machine")
    print_tuning(output, report)
    output.text()
    if report.picked is None:
        output.text(f"FAIL: no variant keeps the class {report.options.fidelity} on this machine; nothing was chosen.")
        output.text("'stonnx verify' says what is wrong with each.")
        return
    row = report.rows[report.picked]
    chosen = f"{row.variant}, {row.settings.runs_text}, batches of {row.settings.batch_tokens:,} tokens"
    if path is None:
        output.text(f"Would choose {chosen}. Nothing was written (--dry-run).")
    else:
        output.text(f'Chose {chosen}: variant "auto" uses it on this machine.')
        output.line(f"  {path}")
