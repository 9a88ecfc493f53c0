from __future__ import annotations

import pytest

from stonnx._fields import Fields
from stonnx.errors import ArtifactError, CheckpointError, UnsupportedModelError

WHOLE = {
    "flag": False,
    "count": 3,
    "rate": 0.5,
    "name": "x",
    "names": ["a", "b"],
    "prompts": {"query": "q: "},
    "nested": {"a": 1},
    "nothing": None,
}


def fields(**values):
    return Fields("some.json", values, error=CheckpointError)


def test_every_kind_of_value_is_read_as_it_is():
    found = fields(**WHOLE)
    assert found.flag("flag") is False
    assert found.positive_int("count", at_most=3) == 3
    assert found.number("rate") == 0.5
    assert (found.number("count"), type(found.number("count"))) == (3.0, float)
    assert found.text("name") == "x"
    assert found.texts("names") == ("a", "b")
    assert found.texts_by_name("prompts") == {"query": "q: "}
    assert found.object("nested") == {"a": 1}
    assert ("nested" in found, "other" in found, list(found)) == (True, False, list(WHOLE))


@pytest.mark.parametrize(
    ("method", "default"),
    [
        ("flag", True),
        ("positive_int", 12),
        ("number", 1e-12),
        ("text", "gelu"),
        ("texts", ()),
        ("texts_by_name", {}),
        ("object", {}),
    ],
)
def test_a_default_stands_for_a_missing_key_and_not_for_a_null(method, default):
    read = getattr(fields(nothing=None), method)
    assert read("other", default=default) == default
    assert read("nothing", default=None) is None
    assert read("other", default=None) is None
    assert read("nothing", default=default, nullable=True) == default
    with pytest.raises(CheckpointError, match=r"some\.json: nothing is None; expected "):
        read("nothing", default=default)
    with pytest.raises(CheckpointError, match=r"some\.json: other is missing; expected "):
        read("other")


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("flag", [0, 1, "true", None, []]),
        ("positive_int", [0, -1, True, 1.0, "1", None, []]),
        ("number", [True, "1", float("nan"), float("inf"), 10**400, None, []]),
        ("text", [1, None, ["a"], b"a"]),
        ("texts", ["ab", [1], [None], {"a": 1}, None]),
        ("texts_by_name", ["a", ["a"], {"a": 1}, {"a": None}, None]),
        ("object", [[], "a", 1, None]),
    ],
)
def test_other_types_are_refused_with_what_was_found_and_expected(method, wrong):
    for value in wrong:
        with pytest.raises(CheckpointError, match=r"some\.json: key is .+; expected .+\.$"):
            getattr(fields(key=value), method)("key")


@pytest.mark.parametrize(("value", "limits"), [(1, {"below": 1}), (-0.1, {"at_least": 0}), (2, {"below": 1.5})])
def test_limits_of_numbers(value, limits):
    with pytest.raises(CheckpointError, match=r"expected a number (of at least 0|below 1(\.5)?)\."):
        fields(key=value).number("key", **limits)
    assert fields(key=0).number("key", at_least=0, below=1) == 0


def test_a_limit_of_whole_numbers_is_named():
    with pytest.raises(CheckpointError, match="key is 101; expected a whole number from 1 to 100"):
        fields(key=101).positive_int("key", at_most=100)


def test_what_is_no_object_is_refused():
    with pytest.raises(ArtifactError, match=r"some\.json holds a list; expected a JSON object"):
        Fields("some.json", [], error=ArtifactError)


def test_exact_keys():
    fields(a=1, b=2).check_keys("b", "a")
    for keys in (("a",), ("a", "b", "c")):
        with pytest.raises(CheckpointError, match=r"expected the keys a.*; found 'a', 'b'"):
            fields(a=1, b=2).check_keys(*keys)


def test_rules_of_a_caller_have_the_same_form():
    wrong = fields(act="x" * 1000).wrong("act", "gelu or relu", hint="Use gelu.", error=UnsupportedModelError)
    assert isinstance(wrong, UnsupportedModelError)
    assert wrong.message.startswith("some.json: act is 'xxx")
    assert wrong.message.endswith("…; expected gelu or relu.")
    assert (len(wrong.message) < 300, wrong.hint) == (True, "Use gelu.")
