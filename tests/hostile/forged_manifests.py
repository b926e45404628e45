"""Manifests that are wrong, or claim what no file holds."""

import functools
import itertools
import json

from cvzoo import coding, packing, preset_files
from tests.hostile import bases, weights_bytes
from tests.hostile.json_text import (
    changed,
    dumps,
    raw,
    without,
)
from tests.hostile.mutant import (
    FOUND_BY_VERIFY,
    Mutant,
    with_json,
)


def mutants(times):
    yield from _manifests()
    yield from _claims()
    yield from _examples()
    yield from _examples_that_cannot_be_run()


def _manifests():
    def put(*path_and_value):
        *path, value = path_and_value
        return lambda data: changed(data, tuple(path), value)

    hash_ = "0" * 64
    changes = {
        "format": {repr(v): put("format", v) for v in (0, -1, 10**6, True, 1.0, "1")},
        "name": {
            repr(v)[:9]: put("name", v)
            for v in (
                *("", ".", "..", "a/b", "a\\b", 'a"b', "my model", "-m", "n" * 256),
                *("nul\0", None, 3),
            )
        },
        "files": {
            "of a path": put("files", "../weights", {"bytes": 1, "sha256": hash_}),
            "of another name": lambda data: changed(
                without(data, ("files", "README.md")),
                ("files", "readme.md"),
                data["files"]["README.md"],
            ),
            "none": put("files", {}),
            "of negative size": put("files", "README.md", "bytes", -1),
            "of float size": lambda data: changed(
                data,
                ("files", "README.md", "bytes"),
                float(data["files"]["README.md"]["bytes"]),
            ),
            "of huge size": put("files", "weights.safetensors", "bytes", 2**40),
            "of another size": put("files", "weights.safetensors", "bytes", 10),
            "of a short hash": put("files", "README.md", "sha256", "0" * 63),
            "of another hash": put("files", "README.md", "sha256", hash_),
            "of an upper-case hash": lambda data: changed(
                data,
                ("files", "README.md", "sha256"),
                data["files"]["README.md"]["sha256"].upper(),
            ),
            "of no hash": put("files", "README.md", {"bytes": 306}),
            "as a list": put("files", ["README.md"]),
        },
        "tensors": {
            **{
                f"shape {shape!r:.40}": put("tensors", "hidden/kernel", "shape", shape)
                for shape in (
                    *([12, 6], [72], [6, 12, 1], [6.0, 12], [6, True], [-6, -12], [0]),
                    *([-1, 12], [2**31, 2**31], [2**32, 1], [2**15, 2**15], "ab", {}),
                    *([], [[6, 12]], [6, None], ["6", "12"], [1] * 17, [2**62] * 16),
                    *([1] * 10**4, None, [2**13, 2**13]),
                )
            },
            **{
                f"parts {parts!r}": put("tensors", "hidden/kernel", "parts", parts)
                for parts in (0, 1, 3, -1, 2.0, True, "2", None, [2])
            },
            **{
                f"named {name!r:.20}": lambda data, name=name: changed(
                    without(data, ("tensors", "hidden/bias")),
                    ("tensors", name),
                    data["tensors"]["hidden/bias"],
                )
                for name in (
                    *("", "hidden//bias", "/hidden/bias", "hidden/../hidden/bias"),
                    *("hidden/bias/", "hidden/bias\0", "hidden", "HIDDEN/bias"),
                    "h" * 10**5,
                )
            },
            "one more": put("tensors", "more/bias", {"shape": [1], "parts": 1}),
            "none": put("tensors", {}),
            "a number": put("tensors", "hidden/kernel", 3),
            "100 000": lambda data: {
                **data,
                "tensors": {
                    f"{number}": {"shape": [1], "parts": 1} for number in range(10**5)
                },
            },
            "20 000": lambda data: {
                **data,
                "tensors": {
                    f"{number}": {"shape": [1], "parts": 1} for number in range(20_000)
                },
            },
        },
        "counts": {
            **{
                f"{key} is {value!r}": put("counts", key, value)
                for key in ("parameters", "nonzero", "baseline_parameters")
                for value in (-1, 0, 10**15, 2**60, 1.5, True, "246", None, [])
            },
            **{
                f"compression is {value!r}": put("counts", "compression", value)
                for value in (-1, 0, 1e30, 1e39, True, "2.6", None, [])
            },
            "one number less": lambda data: changed(
                data, ("counts", "parameters"), data["counts"]["parameters"] - 1
            ),
            "fewer zeros": lambda data: {
                **data,
                "counts": {
                    **data["counts"],
                    "nonzero": data["counts"]["nonzero"] + 1,
                    "compression": data["counts"]["baseline_parameters"]
                    / (data["counts"]["nonzero"] + 1),
                },
            },
            "values that are a number": put("counts", "values", 3),
            "a change that is a number": put("counts", "change_of_outputs", 3),
            "a change of text": put(
                "counts", "change_of_outputs", {"largest": "0", "relative": 0}
            ),
            "one change": put("counts", "change_of_outputs", {"largest": 0}),
        },
        "classes": {
            repr(v)[:20]: put("classes", v)
            for v in ([None], [True], [["a"]], [{"a": 1}], [1.5], [-1], "ab", {"a": 0})
        },
        "outputs": {
            repr(v)[:30]: put("outputs", v)
            for v in (
                *({}, {"decode": "one class"}, {"decode": "code", "logits": True}),
                {"decode": "values", "logits": 1},
            )
        },
        "inputs": {
            repr(v)[:60]: put("inputs", v)
            for v in (
                *({"x": 3}, {"x": {"meaning": "noise"}}),
                {"x": {"meaning": 1, "range": None, "sample_rate": None}},
                {"x": {"meaning": "", "range": [1, 0], "sample_rate": None}},
                {"x": {"meaning": "", "range": [0, 1e39], "sample_rate": None}},
                {"x": {"meaning": "", "range": None, "sample_rate": 0}},
            )
        },
        "latency": {
            repr(v)[:60]: put("latency", v)
            for v in (
                {"milliseconds": 1},
                *(
                    {"milliseconds": time, "hardware": "", "date": ""}
                    for time in (None, True, 0, -1, "1")
                ),
            )
        },
        "versions": {
            repr(v)[:20]: put("versions", "keras", v)
            for v in (3, None, [], {"a": "b"}, "", "v" * 256, "nul\0")
        },
    }
    for kind, some in changes.items():
        for what, change in some.items():
            yield Mutant(
                f"manifest: {kind} {what}",
                *(f"manifest, {kind}", "sparse"),
                with_json(preset_files.MANIFEST, change),
            )


def _claims():
    """Tensors that manifest and weights file agree on, of many zeros in few bytes."""
    zeros = [coding.DEFLATE, len(ZEROS_OF_4_MIB)]
    for what, shape, entry in (
        ("2**24 zeros", [2**12, 2**12], EMPTY),
        ("2**28 zeros", [2**14, 2**14], EMPTY),
        ("2**32 zeros", [2**16, 2**16], EMPTY),
        ("2**22 zeros as they are", [2**22], ["integers", 0, "all", 0, *zeros]),
        ("2**22 gaps", [2**22], ["integers", 0, "gaps", 0, *zeros, *zeros]),
    ):
        make = functools.partial(_with_zeros, shape=shape, entry=entry)
        yield Mutant(f"claims {what}", "huge claim", "sparse", make)
    # Which makes the layers in it when it is built.
    stack = {"class": "DiagonalCirculantStack", "depth": 1024, "activation_every": 1}
    stack |= {"negative_slope": 0.5, "order": "circulant_first", "use_bias": True}
    described = {
        "inputs": [{"name": "x", "shape": [2**20], "dtype": "float32"}],
        "layers": {"more": stack},
        "calls": [["more", ["x", 0, 0]]],
        "outputs": [["more", 0, 0]],
    }
    make = functools.partial(
        _with_zeros, shape=[2**20], entry=EMPTY, described=described
    )
    yield Mutant("claims a stack of circulants", "huge claim", "sparse", make)


def _with_zeros(files, shape, entry, described=()):
    """A preset whose weights are one tensor, with other parts of its architecture."""
    stated = {"format": packing.FORMAT, "tensors": {"more/w": [shape, *entry]}}
    body = ZEROS_OF_4_MIB * entry.count(len(ZEROS_OF_4_MIB))
    array = {"dtype": "U8", "shape": [len(body)], "data_offsets": [0, len(body)]}
    header = {"__metadata__": {"cvzoo": json.dumps(stated)}, "streams": array}
    manifest = json.loads(files[preset_files.MANIFEST])
    manifest["tensors"] = {"more/w": {"shape": shape, "parts": 1}}
    architecture = json.loads(files[preset_files.ARCHITECTURE]) | dict(described)
    changed_files = {
        preset_files.WEIGHTS: weights_bytes.joined(header, body),
        preset_files.ARCHITECTURE: dumps(architecture),
        preset_files.MANIFEST: dumps(manifest),
    }
    return bases.sealed({**files, **changed_files})


EMPTY = ["integers", 0, "gaps", 0, coding.RAW, 0, coding.RAW, 0]
ZEROS_OF_4_MIB = weights_bytes.deflated(bytes(2**22))


def _examples():
    ones = {"shape": [2, 6, 2], "values": [1.0] * 24}
    outputs = {"shape": [2, 3], "values": [1.0] * 6}
    arrays = {
        "another size": {"shape": [2, 5, 2], "values": [1.0] * 20},
        "another rank": {"shape": [2, 12], "values": [1.0] * 24},
        "another batch": {"shape": [3, 6, 2], "values": [1.0] * 36},
        "no batch": {"shape": [], "values": [1.0]},
        "an empty batch": {"shape": [0, 6, 2], "values": []},
        "too few values": {"shape": [2, 6, 2], "values": [1.0] * 23},
        "too many values": {"shape": [2, 6, 2], "values": [1.0] * 25},
        "a huge shape": {"shape": [2**31, 2**31], "values": [1.0]},
        "a negative shape": {"shape": [-2, -6, 2], "values": [1.0] * 24},
        "an open shape": {"shape": [-1, 6, 2], "values": [1.0] * 24},
        "texts": {"shape": [2, 6, 2], "values": ["1.0"] * 24},
        "nested values": {"shape": [2, 6, 2], "values": [[1.0]] * 24},
        "truths": {"shape": [2, 6, 2], "values": [True] * 24},
        "none": {"shape": [2, 6, 2], "values": [None] * 24},
        "huge values": {"shape": [2, 6, 2], "values": [1e39] * 24},
        "NaN": {"shape": [2, 6, 2], "values": [raw("NaN")] * 24},
        "a text of values": {"shape": [2, 6, 2], "values": "1" * 24},
        "a dtype": {**ones, "dtype": "object"},
        "no shape": {"values": [1.0] * 24},
        "no dictionary": [1.0] * 24,
    }
    examples = {
        **{
            f"inputs: {k}": {"inputs": v, "outputs": outputs} for k, v in arrays.items()
        },
        **{f"outputs: {k}": {"inputs": ones, "outputs": v} for k, v in arrays.items()},
        "two inputs": {"inputs": [ones, ones], "outputs": outputs},
        "a list of no inputs": {"inputs": [], "outputs": outputs},
        "outputs that would broadcast": {
            "inputs": ones,
            "outputs": {"shape": [1, 1], "values": [1.0]},
        },
        "a list of outputs": {"inputs": ones, "outputs": [outputs]},
        "no outputs": {"inputs": ones},
        "labels": {"inputs": ones, "outputs": outputs, "labels": outputs},
    }
    for what, stored in examples.items():
        yield Mutant(
            f"examples: {what}",
            *("examples", "sparse"),
            with_json(
                preset_files.MANIFEST,
                lambda data, stored=stored: {**data, "examples": stored},
            ),
        )
    yield Mutant(
        "examples: none to verify",
        *("examples", "sparse"),
        with_json(preset_files.MANIFEST, lambda data: {**data, "examples": {}}),
        outcome=FOUND_BY_VERIFY,
    )
    for what, stored in {
        "one input of two": ones,
        "a list of one": [ones],
        "shapes of others": [ones, ones],
    }.items():
        yield Mutant(
            f"examples of two inputs: {what}",
            *("examples", "two_inputs"),
            with_json(
                preset_files.MANIFEST,
                lambda data, stored=stored: changed(
                    data, ("examples", "inputs"), stored
                ),
            ),
        )


def _examples_that_cannot_be_run():
    """Sizes that no file states: they come of the examples."""

    def repeated(data):
        """2**25 numbers for each of the two that the network gives, and their mean."""
        more = {
            "repeated": {"class": "RepeatVector", "n": 2**24},
            "again": {"class": "Identity"},
            "mean": {"class": "GlobalAveragePooling1D", "keepdims": False},
        }
        names = ["logits", *more]
        calls = [[name, [before, 0, 0]] for before, name in itertools.pairwise(names)]
        return {
            **data,
            "layers": {**data["layers"], **more},
            "calls": [*data["calls"], *calls],
            "outputs": [["mean", 0, 0]],
        }

    def longer(data):
        return changed(data, ("layers", "longer", "size"), 2**24)

    def of_other_lengths(data):
        other = {"shape": [2, 3, 2], "values": [1.0] * 12}
        return changed(data, ("examples", "inputs", 1), other)

    def of_any_length(make):
        return lambda _: make(bases.preset_of_any_length())

    for what, make in {
        "that are repeated": with_json(preset_files.ARCHITECTURE, repeated),
        "that become longer": of_any_length(
            with_json(preset_files.ARCHITECTURE, longer)
        ),
        "of lengths that do not fit": of_any_length(
            with_json(preset_files.MANIFEST, of_other_lengths)
        ),
    }.items():
        yield Mutant(
            f"examples {what}",
            *("examples that cannot be run", "convolution", make),
            outcome=FOUND_BY_VERIFY,
        )
