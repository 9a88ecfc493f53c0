"""``stonnx convert SOURCE OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from stonnx._extras import pip_line
from stonnx.cli._console import Output
from stonnx.cli._text import plural, seconds_text
from stonnx.cli._texts import add_text_file, texts_of_file
from stonnx.cli._variant_rows import VariantRows
from stonnx.errors import UsageError

if TYPE_CHECKING:
    from stonnx.artifact import Manifest
    from stonnx.compile import Conversion, Unverified

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "print_conversion", "run"]

DESCRIPTION = """\
Turn a Sentence Transformers model into an ONNX artifact: a folder that
stonnx, and every tool for Sentence Transformers' ONNX folders, can load.
Torch is not needed. Where it is installed with sentence-transformers (the
extra "reference"), the result is compared with the original model, and not
written if it differs. Where ONNX Runtime is installed, the artifact gets 8-bit
variants as well (int8): faster, most of all on CPUs with VNNI, AMX or Arm's
dot products, and measured like the others. --no-int8 leaves them out, and
'stonnx quantize' adds them later."""

EXAMPLES = """\
examples:
  stonnx convert moka-ai/m3e-base m3e-base-onnx
  stonnx convert ./my-model my-model-onnx --force
  stonnx convert ./my-model my-model-onnx --calibrate my-texts.txt
  stonnx convert ./my-model my-model-onnx --no-int8
  stonnx convert BAAI/bge-small-en-v1.5@main bge-small-onnx --json"""

_UNUSED_SHOWN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="a model folder, or a hub id: org/name, or org/name@revision")
    parser.add_argument("out", metavar="OUT", help="the folder to create; it appears whole or not at all")
    parser.add_argument(
        "--force", action="store_true", help="replace OUT if it is an artifact or empty, and nothing else"
    )
    parser.add_argument("--no-verify", action="store_true", help="do not compare with the original model")
    parser.add_argument(
        "--int8",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether to add int8 variants (default: where ONNX Runtime is installed)",
    )
    add_text_file(parser, "--calibrate", "texts to calibrate int8 on: ", default="shipped ones")


def run(args: argparse.Namespace) -> int:
    """Convert, and say what came of it.

    Raises:
        StonnxError: The model cannot be read, is not supported, or failed its verification.
    """
    from stonnx.compile import convert

    output = Output.of(args)
    texts = _calibration_texts(args)
    output.say(f"Converting {args.source}")
    with output.steps() as steps:
        result = convert(
            args.source,
            args.out,
            force=args.force,
            verify=not args.no_verify,
            int8=args.int8,
            calibration_texts=texts,
            on_step=steps,
            on_variant=VariantRows(steps),
            on_part=steps.part,
        )
    if output.json_mode:
        output.data(_to_json(result))
        return 0
    print_conversion(output, result)
    output.heading("Next")
    path = str(result.path)
    _print_first_use(output, result.manifest, path)
    output.command("stonnx", "info", path)
    output.command("stonnx", "bench", path, "--against", args.source)
    return 0


def _print_first_use(output: Output, manifest: Manifest, path: str) -> None:
    """The command that runs the model; where no verb does, a line of Python."""
    if manifest.scoring is None:
        output.command("stonnx", "encode", path, "your text")
    elif len(manifest.scoring.labels) == 1:
        output.command("stonnx", "rerank", path, "a query", "a document", "another document")
    else:
        output.line(f'  stonnx.Reranker.load({path!r}).predict(("a text", "another text"))  # Python')


def _calibration_texts(args: argparse.Namespace) -> Sequence[str] | None:
    """The texts of ``--calibrate``; None where it was not given.

    Raises:
        UsageError: It stands beside ``--no-int8``, or its file cannot be read or has no texts.
    """
    if args.calibrate is not None and args.int8 is False:
        raise UsageError("--calibrate is for int8; nothing else is calibrated.", hint="Leave --no-int8 out.")
    return texts_of_file("--calibrate", args.calibrate, jsonl=args.jsonl)


def print_conversion(output: Output, result: Conversion) -> None:
    """The summary for people: what was converted, the files, the fidelity, what was assumed."""
    from stonnx.cli._tables import file_rows, model_rows

    output.heading(str(result.path))
    output.fields(model_rows(result.manifest))
    output.heading("Files")
    output.table(("file", "size"), file_rows(result.manifest))
    _print_verification(output, result)
    notes = [*result.notes, *_unused_note(result.unused_tensors)]
    if notes:
        output.heading("Notes")
    for note in notes:
        output.item(note)
    output.heading("Time")
    output.fields([(step, seconds_text(seconds)) for step, seconds in result.seconds.items()] or [("total", "-")])


def _print_verification(output: Output, result: Conversion) -> None:
    from stonnx.cli._tables import print_fidelity, print_verification

    output.heading("Compared with the original model")
    if result.report is not None:
        print_verification(output, result.report)
        return
    if result.manifest.verified:
        print_fidelity(output, result.manifest.variants)
        return
    output.text("UNVERIFIED: nobody has compared this artifact with the original model.")
    if result.unverified is not None:
        _print_reason(output, result.unverified)
    output.text("Later, where the original model can be run:")
    output.command("stonnx", "verify", str(result.path), "--against", result.manifest.source.name)


def _print_reason(output: Output, unverified: Unverified) -> None:
    if unverified.extra is None:
        output.text(unverified.reason)
        return
    output.text(f"{unverified.reason} Install it with:")
    output.line(f"  {pip_line(unverified.extra)}")  # on a line of its own, to be copied


def _unused_note(names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:_UNUSED_SHOWN])
    rest = f" and {len(names) - _UNUSED_SHOWN:,} more (--json lists them)" if len(names) > _UNUSED_SHOWN else ""
    return [f"{plural(len(names), 'tensor')} of the checkpoint not used: {shown}{rest}"]


def _to_json(result: Conversion) -> dict[str, object]:
    from stonnx.artifact import manifest_to_json

    return {
        "path": str(result.path),
        "verified": result.manifest.verified,
        "manifest": manifest_to_json(result.manifest),
        "report": None if result.report is None else result.report.to_json(),
        "unverified": None if result.unverified is None else asdict(result.unverified),
        "notes": list(result.notes),
        "unused_tensors": list(result.unused_tensors),
        "seconds": dict(result.seconds),
    }
