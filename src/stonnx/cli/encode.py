"""``stonnx encode ARTIFACT [TEXT ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from stonnx.cli._arguments import add_run_options, positive_int
from stonnx.cli._console import Output, is_terminal
from stonnx.cli._npy import is_stdout, npy_target, write_npy
from stonnx.cli._text import plural
from stonnx.cli._texts import TextPlaces, add_prompt, add_text_file, texts_of_verb, utf8_text
from stonnx.errors import RunError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stonnx.runtime import Encoder

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Turn texts into embeddings. Texts come from the command line, from --file, or
from stdin, one per line (an empty line is a text too) or as JSON lines. On a
terminal you see a short table; elsewhere, and with --json, one JSON object per
text and line:
  {"index": 0, "embedding": [0.0123, ...]}
Numbers have nine digits: enough to get back the very same float32."""

EXAMPLES = """\
examples:
  stonnx encode m3e-base-onnx "a first text" "a second text"
  stonnx encode m3e-base-onnx --file texts.txt --output vectors.npy
  cat texts.txt | stonnx encode m3e-base-onnx > vectors.jsonl
  cat texts.jsonl | stonnx encode m3e-base-onnx --jsonl > vectors.jsonl
  stonnx encode m3e-base-onnx -- "-5 degrees" colder"""

_CHUNK_TEXTS = 2048  # big enough to sort by length inside, small enough to stream


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a folder that 'stonnx convert' wrote")
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="*",
        default=[],  # or argparse calls it required
        type=utf8_text,
        help="a text; without any, --file or stdin is read",
    )
    add_text_file(parser, "--file", "texts: ")
    add_prompt(parser, before="every text")
    parser.add_argument(
        "--truncate-dim", metavar="D", type=positive_int, help="keep the first D components (Matryoshka models)"
    )
    parser.add_argument("--normalize", action="store_true", help="scale every embedding to length 1")
    add_run_options(parser)
    parser.add_argument(
        "--output",
        metavar="FILE.npy",
        help="write a float32 array, one row per text, instead; to a file, a named pipe or /dev/stdout",
    )
    parser.add_argument("--force", action="store_true", help="let --output replace a file")


def run(args: argparse.Namespace) -> int:
    """Encode the texts.

    Raises:
        StonnxError: No texts, wrong options, a broken artifact, or an engine that failed.
    """
    output = Output.of(args)
    _check_not_the_texts(args)
    # First of all: a place that cannot be written is known before a model is loaded.
    with nullcontext() if args.output is None else npy_target(args.output, force=args.force) as stream:
        places = TextPlaces(noun="texts", flag="--file", example=f'stonnx encode {args.artifact} "a text"')
        # An empty line is a text here: the embedding of line n is row n.
        texts = texts_of_verb(args.text, args.file, places, jsonl=args.jsonl)
        shape, encoder = _encode(output, args, texts, stream)
    if shape is not None:
        _tell_file(output, args, shape, truncated_texts=encoder.truncated_texts)
    if encoder.truncated_texts:
        output.say(f"note: {plural(encoder.truncated_texts, 'text')} cut to the model's {encoder.max_tokens} tokens")
    return 0


def _check_not_the_texts(args: argparse.Namespace) -> None:
    """Make sure that ``--output`` does not overwrite the file of the texts."""
    if args.output is None or args.file is None:
        return
    texts, output = Path(args.file), Path(args.output)
    if texts.is_file() and output.is_file() and texts.samefile(output):
        raise UsageError("--output is the file of the texts; it would be lost.", hint="Name another file.")


def _encode(
    output: Output, args: argparse.Namespace, texts: Iterable[str], stream: BinaryIO | None
) -> tuple[tuple[int, int] | None, Encoder]:
    """Encode the texts to the stream, or else to stdout.

    Returns:
        The shape of the array in the stream, None without one; and the encoder, closed.
    """
    from stonnx.runtime import Encoder

    encoder = Encoder.load(args.artifact, variant=args.variant, threads=args.threads)
    shape = None
    try:
        if stream is not None:
            shape = write_npy(stream, _chunks(args, encoder, texts), name=args.output)
        elif output.json_mode or not is_terminal(sys.stdout):
            _to_json_lines(args, encoder, texts)
        else:
            _to_terminal(output, args, encoder, list(texts))
    finally:
        encoder.close()
    return shape, encoder


def _vectors(args: argparse.Namespace, encoder: Encoder, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
    """Embeddings in order, float32, each shape (texts of the chunk, dimension)."""
    import numpy as np

    rest = iter(texts)
    while chunk := list(islice(rest, _CHUNK_TEXTS)):
        vectors = encoder.encode(
            chunk,
            prompt=args.prompt,
            prompt_name=args.prompt_name,
            truncate_dim=args.truncate_dim,
            normalize=args.normalize,
            batch_tokens=args.batch_tokens,
        )
        if not np.isfinite(vectors).all():
            raise RunError(
                "The model gave an embedding that is not a number.",
                hint="'stonnx verify' checks the artifact on this machine; --variant portable runs the plain graph.",
            )
        yield vectors


def _chunks(args: argparse.Namespace, encoder: Encoder, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
    """As ``_vectors``, but at least one chunk: an empty one where there are no texts."""
    chunks = _vectors(args, encoder, texts)
    first = next(chunks, None)
    return chain((encoder.encode([], truncate_dim=args.truncate_dim) if first is None else first,), chunks)


def _to_json_lines(args: argparse.Namespace, encoder: Encoder, texts: Iterable[str]) -> None:
    index = 0
    try:
        for vectors in _vectors(args, encoder, texts):
            for vector in vectors.tolist():
                numbers = ", ".join(f"{component:.9g}" for component in vector)
                sys.stdout.write(f'{{"index": {index}, "embedding": [{numbers}]}}\n')
                index += 1
            sys.stdout.flush()
    except BaseException as error:
        if index:
            error.add_note(f"stdout got {plural(index, 'embedding')}, not all")
        raise


def _tell_file(output: Output, args: argparse.Namespace, shape: tuple[int, int], *, truncated_texts: int) -> None:
    count, dimension = shape
    line = f"{args.output}: {plural(count, 'text')}, {dimension} components each, float32"
    if is_stdout(args.output):  # it holds the array, so that nothing else may be there
        output.say(line)
    elif output.json_mode:
        output.data(
            {
                "output": args.output,
                "texts": count,
                "dimension": dimension,
                "dtype": "float32",
                "truncated_texts": truncated_texts,
            }
        )
    else:
        output.line(line)


def _to_terminal(output: Output, args: argparse.Namespace, encoder: Encoder, texts: list[str]) -> None:
    import numpy as np

    from stonnx.cli._similarity import print_embeddings

    if not texts:
        output.text("No texts, no embeddings.")
        return
    print_embeddings(output, texts, np.concatenate(list(_vectors(args, encoder, texts))))
