"""The effective tokenizer: what transformers builds from a folder, as the text of one ``tokenizer.json``.

The reference is transformers 5. For its ``BertTokenizer`` see ``bert_tokenizer``; other classes take
``tokenizer.json`` as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stonnx._fields import Fields
from stonnx.artifact.manifest import PaddingSide
from stonnx.artifact.texts import is_tokenizer_failure
from stonnx.checkpoint.bert_tokenizer import build_bert_tokenizer, read_vocab, word_piece_vocab
from stonnx.checkpoint.class_tokenizers import build_class_tokenizer, has_class, padding_of_class
from stonnx.checkpoint.limits import max_tokens, pad_id
from stonnx.checkpoint.older_files import older_document
from stonnx.checkpoint.sentence_config import SentenceConfig
from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.tokens import TokenSet, add_tokens, read_tokens
from stonnx.errors import CheckpointError, StonnxError, UnsupportedModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["TokenizerResult", "read_tokenizer"]

# All of them are transformers' BertTokenizer under older names.
_BERT_CLASSES = {"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "RetriBertTokenizer"}
# DistilBertTokenizer is one, but gives no token types.
_TYPED_CLASSES = {"BertTokenizer", "ConvBertTokenizer", "ElectraTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer"}
# The class of a family, where neither tokenizer_config.json nor config.json names one.
_OF_FAMILY = {
    "albert": "AlbertTokenizer",
    "bert": "BertTokenizer",
    "camembert": "CamembertTokenizer",
    "distilbert": "BertTokenizer",
    "electra": "BertTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
# They split text with Python code before any vocabulary is asked.
_PYTHON_CLASSES = {
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "CanineTokenizer",
    "EsmTokenizer",
    "FlaubertTokenizer",
    "PhobertTokenizer",
    "RoCBertTokenizer",
    "TapasTokenizer",
    "XLMTokenizer",
}
# The binary file of SentencePiece, under the names of the families.
_SENTENCE_PIECE_FILES = ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model")

# Far beyond every known vocabulary (about half a million pieces), and soon counted to.
_LARGEST_ID = 10_000_000


@dataclass(frozen=True, kw_only=True)
class TokenizerResult:
    """The effective tokenizer.

    Attributes:
        json: Text of a ``tokenizer.json`` without truncation and padding.
        max_tokens: Longest token row, special tokens included; None where no file limits it.
        pad_id: Id of the padding token.
        padding_side: Where shorter rows are filled up.
        token_types: Whether the tokenizer gives the model ``token_type_ids``.
        largest_id: Largest id of the vocabulary, added tokens included.
        notes: What was assumed, for the user.
    """

    json: str
    max_tokens: int | None
    pad_id: int
    padding_side: PaddingSide
    token_types: bool
    largest_id: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Files:
    """``tokenizer_config.json`` with its overrides, and the other files; None for the ones that are missing."""

    prefix: str
    config: Mapping[str, Any]
    document: Mapping[str, Any] | None
    document_path: Path
    vocab_name: str | None
    tokens: TokenSet


def read_tokenizer(
    folder: SourceFolder, subfolder: str, sentence: SentenceConfig, model_config: Mapping[str, Any]
) -> TokenizerResult:
    """Build the tokenizer that sentence-transformers would use.

    Args:
        folder: The model.
        subfolder: Sub-folder of the transformer, POSIX; "" for the root.
        sentence: The Sentence Transformers settings of it.
        model_config: The transformer's ``config.json``.

    Raises:
        CheckpointError: A file is missing or damaged, or a value has the wrong type.
        UnsupportedModelError: The tokenizer needs code, or an option that stonnx does not carry over.
    """
    files = _read_files(folder, f"{subfolder}/" if subfolder else "", sentence)
    _check_options(files)
    notes: list[str] = []
    class_name = _class_name(files.config, model_config)
    try:
        tokenizer = _build(folder, files, class_name, notes)
    except StonnxError:
        raise
    except BaseException as exc:
        if is_tokenizer_failure(exc):
            raise CheckpointError(f"The tokenizer files of {folder.path} are damaged: {exc}") from exc
        raise
    if sentence.lowercase:
        _lowercase_first(tokenizer)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    limit = max_tokens(sentence, files.config, model_config.get("max_position_embeddings"))
    padding = pad_id(tokenizer, _pad_token(files, class_name), model_config.get("pad_token_id"), notes)
    largest = _largest_id(tokenizer, folder)
    return TokenizerResult(
        json=tokenizer.to_str(),
        max_tokens=limit,
        pad_id=padding,
        padding_side="left" if _side(files, "padding") == "left" else "right",
        token_types=_token_types(files.config, class_name),
        largest_id=largest,
        notes=tuple(notes),
    )


def _read_files(folder: SourceFolder, prefix: str, sentence: SentenceConfig) -> _Files:
    names = {name: f"{prefix}{name}" for name in ("tokenizer_config.json", "tokenizer.json", "vocab.txt")}
    there = {name: folder.exists(path) for name, path in names.items()}
    config = folder.read_object(names["tokenizer_config.json"]) if there["tokenizer_config.json"] else {}
    document = folder.read_object(names["tokenizer.json"]) if there["tokenizer.json"] else None
    config |= sentence.tokenizer_options
    return _Files(
        prefix=prefix,
        config=config,
        document=document,
        document_path=folder.file(names["tokenizer.json"]),
        vocab_name=names["vocab.txt"] if there["vocab.txt"] else None,
        tokens=read_tokens(folder, prefix, config, document),
    )


def _check_options(files: _Files) -> None:
    if files.config.get("auto_map"):
        raise UnsupportedModelError(
            "The tokenizer comes with code of its own (auto_map in tokenizer_config.json), which stonnx does not run.",
            hint="Save the tokenizer as a plain tokenizer.json and remove auto_map.",
        )
    if _side(files, "truncation") == "left":
        raise UnsupportedModelError(
            "The tokenizer has truncation_side 'left'; stonnx converts models with 'right'.",
            hint="Set truncation_side to right in tokenizer_config.json if the model works with it.",
        )
    _side(files, "padding")
    if files.config.get("split_special_tokens"):
        raise UnsupportedModelError(
            "The tokenizer splits special tokens (split_special_tokens), which tokenizer.json cannot express.",
            hint="Set split_special_tokens to false in tokenizer_config.json if the model works with it.",
        )


def _side(files: _Files, what: str) -> str:
    """``left`` or ``right``: transformers takes the side from tokenizer.json where the config does not name it."""
    stored = (files.document or {}).get(what)
    direction = stored.get("direction", "Right") if isinstance(stored, dict) else "Right"
    side = files.config.get(f"{what}_side", direction)
    if str(side).lower() not in ("left", "right"):
        raise CheckpointError(f"tokenizer_config.json: {what}_side is {side!r}; expected left or right.")
    return str(side).lower()


def _token_types(config: Mapping[str, Any], class_name: str) -> bool:
    """Whether the model is given token types: what the tokenizer's frame says of them counts only then."""
    inputs = Fields("tokenizer_config.json", config, error=CheckpointError).texts("model_input_names", default=None)
    return class_name in _TYPED_CLASSES if inputs is None else "token_type_ids" in inputs


def _class_name(config: Mapping[str, Any], model_config: Mapping[str, Any]) -> str:
    """The tokenizer class without "Fast"; the family's own where no file names one."""
    name = config.get("tokenizer_class") or model_config.get("tokenizer_class")
    if name is None:
        family = model_config.get("model_type")
        return _OF_FAMILY.get(family, "PreTrainedTokenizer") if isinstance(family, str) else "PreTrainedTokenizer"
    if not isinstance(name, str):
        raise CheckpointError(f"tokenizer_config.json: tokenizer_class is {name!r}; expected a class name.")
    return name.removesuffix("Fast")


def _build(folder: SourceFolder, files: _Files, class_name: str, notes: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer

    if class_name in _PYTHON_CLASSES:
        raise UnsupportedModelError(
            f"The tokenizer is a {class_name}, which splits text with Python code; stonnx needs a tokenizer.json.",
            hint="Models with such a tokenizer cannot be converted.",
        )
    if class_name in _BERT_CLASSES and (vocab := _vocab(folder, files)) is not None:
        tokenizer, found = build_bert_tokenizer(vocab, files.config, files.tokens, files.document)
        notes.extend(found)
        return tokenizer
    document = files.document or older_document(folder, files.prefix, class_name)
    if document is None:
        raise _no_tokenizer(folder, files.prefix)
    if has_class(class_name, document):
        return build_class_tokenizer(class_name, document, files.config, files.tokens)
    if class_name in _BERT_CLASSES:
        notes.append(f"The tokenizer class is {class_name}, but tokenizer.json is no WordPiece; it is used as it is.")
    tokenizer = Tokenizer.from_file(str(files.document_path))
    add_tokens(tokenizer, files.tokens)
    return tokenizer


def _no_tokenizer(folder: SourceFolder, prefix: str) -> CheckpointError:
    binary = next((name for name in _SENTENCE_PIECE_FILES if folder.exists(f"{prefix}{name}")), None)
    found = "" if binary is None else f" {binary} alone is not enough."
    return CheckpointError(
        f"{folder.path} holds no tokenizer that stonnx can read: expected tokenizer.json or, for BERT and MPNet, "
        f"vocab.txt, or for RoBERTa vocab.json and merges.txt.{found}",
        hint="Save it again with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
    )


def _vocab(folder: SourceFolder, files: _Files) -> Mapping[str, int] | None:
    if files.document is not None:
        return word_piece_vocab(files.document)
    return None if files.vocab_name is None else read_vocab(folder.read_text(files.vocab_name))


def _largest_id(tokenizer: Tokenizer, folder: SourceFolder) -> int:
    """The largest id of the vocabulary, which is not empty; writing a tokenizer counts up to it."""
    if tokenizer.get_vocab_size(with_added_tokens=False) == 0:
        raise CheckpointError(
            f"The tokenizer of {folder.path} has an empty vocabulary.", hint="Download the tokenizer's files again."
        )
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest > _LARGEST_ID:
        raise CheckpointError(
            f"The tokenizer of {folder.path} has the id {largest}; expected none above {_LARGEST_ID}."
        )
    return largest


def _lowercase_first(tokenizer: Tokenizer) -> None:
    """Lowercase in front of the normaliser, unless a Lowercase is there (BertNormalizer does not count as one)."""
    from tokenizers import normalizers

    present: Any = tokenizer.normalizer
    chain: list[Any] = [] if present is None else [present]
    if isinstance(present, normalizers.Sequence):
        chain = [present[index] for index in range(len(present))]
    if not any(isinstance(normalizer, normalizers.Lowercase) for normalizer in chain):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *chain])


def _pad_token(files: _Files, class_name: str) -> str:
    stored = (files.document or {}).get("padding")
    default = stored.get("pad_token") if isinstance(stored, dict) else None
    return files.tokens.text("pad_token", default if isinstance(default, str) else padding_of_class(class_name))
