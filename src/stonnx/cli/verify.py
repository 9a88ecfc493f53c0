"""``stonnx verify ARTIFACT``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stonnx.cli._console import Output
from stonnx.cli._exit import ExitCode
from stonnx.cli._texts import add_text_file, texts_of_file
from stonnx.cli._variant_rows import VariantRows

if TYPE_CHECKING:
    from stonnx.verify import Report

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Compare an artifact with the original model. Without --against, what the
original gave when it was converted (vectors of texts, or scores of pairs), and
the artifact carries, is compared with what this machine computes; no torch is
needed. With --against, sentence-transformers runs the original model beside it
(the extra "reference"); what it gives is remembered on this machine, and used
again as long as neither the model nor what runs it changes.
Every variant is held to the fidelity class that it promises; one that this
machine cannot run is skipped.
A class is left only on evidence: a mean has to lie outside of it by two
standard errors, so that chance in the texts does not decide.
Exit code 5: a variant does not keep its class."""

EXAMPLES = """\
examples:
  stonnx verify m3e-base-onnx
  stonnx verify m3e-base-onnx --against moka-ai/m3e-base
  stonnx verify m3e-base-onnx --against moka-ai/m3e-base --pairs sts.tsv
  stonnx verify reranker-onnx --against BAAI/bge-reranker-base"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a folder that 'stonnx convert' wrote")
    parser.add_argument("--against", metavar="SOURCE", help="the original model: a folder or a hub id")
    add_text_file(parser, "--texts", "with --against, texts of your own (embeddings): ")
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="labelled pairs for Spearman: three columns in .tsv (stdin too) or .csv, or .jsonl with s1, s2 and score",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="with --against, run the original model even where its results are remembered from an earlier run here",
    )
    parser.add_argument(
        "--no-record",
        dest="record",
        action="store_false",
        help="leave an artifact that nobody has verified as it is; otherwise a pass --against the original is recorded",
    )


def run(args: argparse.Namespace) -> int:
    """Verify, and say pass or FAIL per variant.

    Raises:
        StonnxError: A file cannot be read, or the reference is not installed.
    """
    from stonnx.verify import read_pairs, verify

    output = Output.of(args)
    texts = texts_of_file("--texts", args.texts, jsonl=args.jsonl)
    pairs = None if args.pairs is None else read_pairs(args.pairs)
    output.say(_what(args))
    with output.steps() as steps:
        report = verify(
            args.artifact,
            against=args.against,
            texts=texts,
            pairs=pairs,
            keep=args.record,
            fresh=args.fresh,
            on_step=steps,
            on_variant=VariantRows(steps),
        )
    if output.json_mode:
        output.data(report.to_json())
    else:
        _print(output, args.artifact, report)
    return int(ExitCode.OK if report.passed else ExitCode.VERIFICATION_FAILED)


def _what(args: argparse.Namespace) -> str:
    if args.against is None:
        return f"Comparing {args.artifact} with the original's results that it carries"
    return f"Comparing {args.artifact} with {args.against}"


def _print(output: Output, artifact: str, report: Report) -> None:
    from stonnx.cli._tables import print_verification

    output.heading(f"{artifact}, compared with the original model")
    print_verification(output, report)
    output.text()
    if report.passed:
        output.text(f"PASS: every variant{' that can run here' if report.skipped else ''} keeps its class.")
        for note in report.notes:
            output.item(note)
        if report.recorded:
            results = "scores" if report.kind == "reranker" else "vectors"
            output.text(f"Recorded: the artifact is verified from now on, and carries the original's {results}.")
    else:
        output.text("FAIL: a variant does not keep the class that it promises.")
