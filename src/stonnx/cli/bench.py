"""``stonnx bench ARTIFACT``."""

from __future__ import annotations

import argparse

from stonnx.cli._arguments import add_threads, add_variant
from stonnx.cli._console import Output
from stonnx.cli._pairs import add_pair_file, items_of_files
from stonnx.cli._texts import add_text_file

__all__ = ["DESCRIPTION", "EXAMPLES", "QUICK_SECONDS", "add_arguments", "run"]

DESCRIPTION = """\
Measure speed, both sides by turns with the same threads and the same texts.
The other side is the original model in sentence-transformers (--against SOURCE,
the extra "reference"), or else the artifact's own portable graph. Protocols:
  classic    1,000 copies of one Chinese sentence, 32 at a time, as the first
             tutorials measured. Every copy is encoded; nothing is remembered.
  realistic  distinct texts with a natural mix of lengths
  latency    one short text per call: the median and the 95th percentile
A reranker has no classic protocol; realistic scores pairs, and latency is one
query with 20 documents per call."""

EXAMPLES = """\
examples:
  stonnx bench m3e-base-onnx --against moka-ai/m3e-base
  stonnx bench m3e-base-onnx --texts my-texts.txt --threads 4
  stonnx bench m3e-base-onnx --quick --json
  stonnx bench reranker-onnx --against BAAI/bge-reranker-base --pairs my.tsv"""

QUICK_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a folder that 'stonnx convert' wrote")
    parser.add_argument("--against", metavar="SOURCE", help="the original model: a folder or a hub id")
    add_text_file(parser, "--texts", "texts of your own: ", default="shipped ones")
    add_pair_file(parser, "pairs of your own")
    add_threads(parser)
    add_variant(parser, "measure")
    parser.add_argument("--quick", action="store_true", help=f"about {QUICK_SECONDS:.0f} seconds instead of a minute")


def run(args: argparse.Namespace) -> int:
    """Measure, and print the table.

    Raises:
        StonnxError: A file cannot be read, or the reference is not installed.
    """
    from stonnx.bench import BenchOptions, run_bench

    output = Output.of(args)
    items = items_of_files(args)
    options = BenchOptions(variant=args.variant)
    if args.quick:
        options = BenchOptions(variant=args.variant, quick=True, seconds=QUICK_SECONDS)
    output.say(f"Measuring {args.artifact} beside {args.against or 'its portable graph'}")
    with output.progress() as on_progress:
        report = run_bench(
            args.artifact,
            against=args.against,
            texts=items,
            threads=args.threads,
            options=options,
            on_progress=on_progress,
        )
    if output.json_mode:
        output.data(report.to_json())
        return 0
    from stonnx.cli._tables import print_bench

    output.heading(f"{args.artifact}, beside {args.against or 'its portable graph'}")
    print_bench(output, report)
    return 0
