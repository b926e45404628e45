"""Graphs that no model has, and settings that compile none."""

import functools
import json

from cvzoo import preset_files
from tests.hostile.json_text import (
    changed,
)
from tests.hostile.mutant import (
    CODE,
    WITHOUT_HEAD,
    Mutant,
    with_json,
)


def mutants(times):
    yield from _architectures()
    yield from _configurations()


def _architectures():
    def layer(name, **arguments):
        return lambda data: {
            **data,
            "layers": {
                **data["layers"],
                name: {**data["layers"][name], **arguments},
            },
        }

    def added(description, call=True, at_end=False):
        """One more layer between the first input and its user, or beside them."""

        def change(data):
            data = {**data, "layers": {**data["layers"], "more": description}}
            if not call:
                return data
            source = data["outputs"][0] if at_end else [data["inputs"][0]["name"], 0, 0]
            calls = [["more", source]]
            calls = [*data["calls"], *calls] if at_end else [*calls, *data["calls"]]
            outputs = [["more", 0, 0]] if at_end else data["outputs"]
            return {**data, "calls": calls, "outputs": outputs}

        return change

    def put(*path_and_value):
        *path, value = path_and_value
        return lambda data: changed(data, tuple(path), value)

    def renamed(old, new):
        return lambda data: json.loads(
            json.dumps(data).replace(json.dumps(old), json.dumps(new))
        )

    def repeated_calls(count):
        return lambda data: {**data, "calls": data["calls"] * count}

    classes = (
        *("Lambda", "TFSMLayer", "TorchModuleWrapper", "StringLookup", "Hashing"),
        *("TextVectorization", "Functional", "Sequential", "Model", "RNN", "Wrapper"),
        *(
            "os.system",
            "keras.layers.Lambda",
            "builtins.eval",
            "__class__",
            "",
            "dense",
        ),
        *(
            "SparseDense",
            "FixedMask",
            "Embedding",
            "MultiHeadAttention",
            "Bidirectional",
        ),
    )
    pair = {"class": "PerPart", "layer": {"class": "Flatten"}}
    flat = {"class": "Flatten"}
    many = {f"flat_{number}": flat for number in range(10_001)}
    one = ["signal", 0, 0]
    deep = functools.reduce(lambda inner, _: {"list": [inner]}, range(300), one)
    dense = {"class": "Dense", "units": 12, "activation": "linear", "use_bias": True}

    changes = {
        "class outside the list": {
            **{
                repr(name): layer("hidden", **{"class": name})
                for name in (*classes, None, 3, ["Dense"], {"Dense": 1}, True)
            },
            **{
                f"{name} in PerPart": put("layers", "relu", "layer", {"class": name})
                for name in (
                    *classes[:6],
                    "Dense",
                    "ComplexDense",
                    "PerPart",
                    "Dropout",
                )
            },
            "a Lambda beside": added({"class": "Lambda", "function": "exec"}),
            "a Lambda with code": added({"class": "Lambda", "config": CODE}, False),
            "a module": layer("hidden", module="os"),
            "a registered name": layer("hidden", registered_name="cvzoo>ComplexDense"),
            "a Keras configuration": put(
                *("layers", "hidden"),
                {
                    "module": "keras.layers",
                    "class_name": "Dense",
                    "config": {"units": 12},
                    "registered_name": None,
                },
            ),
            "PerPart in PerPart": put("layers", "relu", "layer", pair),
            "weights in PerPart": put("layers", "relu", "layer", dense),
            "PerPart of nothing": put("layers", "relu", {"class": "PerPart"}),
            "a sparsifier": layer("hidden", sparsifier="FixedMask"),
            "an initializer": layer("hidden", kernel_initializer="zeros"),
            "a dtype": layer("hidden", dtype="float64"),
            "a regularizer": layer("hidden", kernel_regularizer=CODE),
            **{
                f"trainable {value!r}": layer("hidden", trainable=value)
                for value in (True, 0, None, "false", [False])
            },
        },
        "huge shape": {
            **{
                f"units {units}": layer("hidden", units=units)
                for units in (0, -1, 11, 13, 2**20, 2**24, 2**24 + 1, 2**40, 2**62)
            },
            **{
                f"input {shape}": put("inputs", 0, "shape", shape)
                for shape in (
                    *([2**24, 2**24], [2**23, 2], [2**20, 2], [-6, 2], [0, 2], [6], []),
                    *([6, 2, 1], [6, 3], [2**30, 2], [1] * 9, [None, 2], [6, None]),
                    *([2**24], [2**24, 1]),
                )
            },
            "a repeated vector": added({"class": "RepeatVector", "n": 2**24}),
            "zeros around": added(
                {"class": "ZeroPadding1D", "padding": [[2**24, 2**24]]}
            ),
            "a reshape": added({"class": "Reshape", "target_shape": [2**24, 2**24]}),
            "a stack of circulants": added(
                {
                    "class": "DiagonalCirculantStack",
                    "depth": 1024,
                    "activation_every": 1,
                    "negative_slope": 0.5,
                    "order": "circulant_first",
                    "use_bias": True,
                }
            ),
            "a hashed matrix": added(
                {
                    "class": "HashedDense",
                    "units": 2**24,
                    "activation": "linear",
                    "use_bias": False,
                    "buckets": 1,
                    "compression": None,
                    "seed": 0,
                }
            ),
            "a dense layer": added(dense),
            "a batch norm": added(
                {
                    "class": "BatchNormalization",
                    "axis": -1,
                    "momentum": 0.9,
                    "epsilon": 0.001,
                    "center": True,
                    "scale": True,
                },
                at_end=True,
            ),
        },
        "layers and calls": {
            "a layer that is never called": added(flat, call=False),
            "a call that leads nowhere": added(flat),
            "10 001 layers": lambda data: {
                **data,
                "layers": {**data["layers"], **many},
            },
            "10 001 calls": repeated_calls(2001),
            "10 001 inputs": put("inputs", [{"name": "signal"}] * 10_001),
            "10 001 outputs": put("outputs", [["logits", 0, 0]] * 10_001),
            "no inputs": put("inputs", []),
            "no calls": put("calls", []),
            "no layers": put("layers", {}),
            "no outputs": put("outputs", []),
            "a layer on itself": put("calls", 1, ["hidden", ["hidden", 0, 0]]),
            "a cycle": put("calls", 1, ["hidden", ["output", 0, 0]]),
            "a call of an unknown layer": put("calls", 1, 0, "nobody"),
            "a call of the input": put("calls", 1, 0, "signal"),
            "a call of a module": put("calls", 1, 0, "os.system"),
            "a call on the input of nobody": put("calls", 1, 1, ["nobody", 0, 0]),
            "a later call": put("calls", 1, 1, ["open", 1, 0]),
            "a negative call": put("calls", 1, 1, ["open", -1, 0]),
            "a negative output": put("calls", 0, 1, ["signal", 0, -1]),
            "the third of a pair": put("calls", 1, 1, ["open", 0, 2]),
            "a true call": put("calls", 1, 1, ["open", False, 0]),
            "a call with options": put("calls", 0, ["open", one, {"training": True}]),
            "a call with two inputs": put("calls", 0, 1, {"list": [one, one]}),
            "a call without inputs": put("calls", 0, 1, {"list": []}),
            "a call on a number": put("calls", 0, 1, 3),
            "a call on code": put("calls", 0, 1, CODE),
            "a call on a constant": put("calls", 0, 1, {"class_name": "__numpy__"}),
            "one part": put("calls", 1, 1, ["open", 0, 0]),
            "nested lists": put("calls", 0, 1, deep),
            "a list in lists": put("calls", 0, 1, {"list": [{"list": [{"list": []}]}]}),
            "a list of 1 025": put("calls", 0, 1, {"list": [one] * 1025}),
            "a list of 1 000": put("calls", 0, 1, {"list": [one] * 1000}),
            "a pair and a list": put("calls", 0, 1, {"pair": [], "list": []}),
            "an output that is a list": put("outputs", [{"list": [["logits", 0, 0]]}]),
            "an output that is a pair": put(
                "outputs", [{"pair": [["output", 0, 0], ["output", 0, 1]]}]
            ),
            "the input as output": put("outputs", [one]),
            "an unknown output": put("outputs", [["nobody", 0, 0]]),
            "an output in the middle": put("outputs", [["hidden", 0, 0]]),
            "an output more": put("outputs", [["logits", 0, 0]] * 2),
            "an output past the last": put("outputs", [["logits", 0, 7]]),
            "two inputs of one name": lambda data: {
                **data,
                "inputs": data["inputs"] * 2,
            },
            "an input more": lambda data: {
                **data,
                "inputs": [*data["inputs"], {**data["inputs"][0], "name": "more"}],
            },
            "an input called as a layer": renamed("signal", "hidden"),
        },
        "name": {
            **{
                f"layer {name!r:.20}": renamed("hidden", name)
                for name in (
                    *("", "a/b", "../up", "nul\0", "line\nbreak", "x" * 256, "\u202e"),
                    *("hidden/kernel", "module", "other"),
                )
            },
            **{
                f"input {name!r:.20}": renamed("signal", name)
                for name in ("", "a/b", "nul\0", "\x1b[2J", "y" * 10_000)
            },
            **{
                f"model {name!r:.20}": put("name", name)
                for name in ("", "/etc/passwd", "nul\0", "\x7f", "z" * 256)
            },
        },
        "dtype": {
            repr(dtype): put("inputs", 0, "dtype", dtype)
            for dtype in (
                *("string", "object", "float64", "complex64", "resource", "", "O"),
                *(None, 3, ["float32"], "int8", "bool", "float16"),
            )
        },
        "format": {
            repr(form): put("format", form)
            for form in (0, 2, -1, "1", True, 1.0, None, [1])
        },
    }
    for kind, some in changes.items():
        for what, change in some.items():
            yield Mutant(
                f"architecture: {kind}, {what}",
                *(kind, "sparse", with_json(preset_files.ARCHITECTURE, change)),
            )
    scattering = {"class": "Scattering2D", "J": 1, "L": 8, "max_order": 2}
    larger = {"class": "UpSampling2D", "size": [2**15] * 2, "interpolation": "nearest"}
    for what, description, shape in (
        ("images that grow", larger, [6, 6, 1]),
        ("scattering of many angles", {**scattering, "L": 1024}, [512, 512, 1]),
        ("scattering of large images", scattering, [2**14, 2**14, 1]),
        ("scattering of many scales", {**scattering, "J": 24}, [6, 6, 1]),
        ("scattering", scattering, [6, 6, 1]),
    ):

        def change(data, description=description, shape=shape):
            data = changed(data, ("layers", "first"), description)
            return changed(data, ("inputs", 0, "shape"), shape)

        yield Mutant(
            f"architecture: {what}",
            *(
                "huge shape",
                "convolution",
                with_json(preset_files.ARCHITECTURE, change),
            ),
        )
    yield from _inverse_transforms()
    yield from _arguments()
    yield from _without_head()


def _without_head():
    """Networks of which nobody can say what `classes` would replace."""
    flat = {"class": "Flatten"}

    def with_calls(layers, *names):
        """The graph goes on with these calls, each on the output of the one before."""

        def change(data):
            calls, numbers = list(data["calls"]), {"logits": 0, "flat": 0}
            before = data["outputs"][0]
            for name in names:
                calls.append([name, before])
                numbers[name] = numbers.get(name, -1) + 1
                before = [name, numbers[name], 0]
            layers_ = {**data["layers"], **layers}
            return {**data, "layers": layers_, "calls": calls, "outputs": [before]}

        return change

    repeat = {"class": "RepeatVector", "n": 18}
    for what, change in {
        "flat at its end": with_calls({"more": flat}, "more"),
        "its head twice": with_calls({"more": repeat}, "more", "flat", "logits"),
    }.items():
        yield Mutant(
            f"architecture: {what}",
            *("no head", "convolution", with_json(preset_files.ARCHITECTURE, change)),
            outcome=WITHOUT_HEAD,
        )
    yield Mutant(
        "architecture: two outputs, of which either may be the head",
        *("no head", "two_inputs", dict),
        outcome=WITHOUT_HEAD,
    )
    yield Mutant(
        "manifest: fewer classes than outputs",
        *("no head", "sparse"),
        with_json(
            preset_files.MANIFEST, lambda data: changed(data, ["classes"], ["a"])
        ),
        outcome=WITHOUT_HEAD,
    )


def _inverse_transforms():
    """Of a signal that is longer than anything in the file, in place of a layer."""
    frames = {"frame_length": 8, "frame_step": 4, "fft_length": 8, "length": 32}
    frames |= {"periodic": True, "padding": "same", "scaling": None, "window": "hann"}
    for what, more in {
        "frames of 2**24": dict.fromkeys(("frame_length", "fft_length"), 2**24),
        "a Fourier transform of 2**24": {"fft_length": 2**24},
        "2**20 frames of 128": {"length": 2**20, "frame_length": 128, "frame_step": 1},
        "frames of 2**16, one a sample": {
            **dict.fromkeys(("frame_length", "fft_length", "length"), 2**16),
            "frame_step": 1,
        },
        "2**20 samples": {"length": 2**20, "window": None},
        "2**22 samples": {"length": 2**22},
    }.items():
        layer = {"class": "InverseSTFT", **frames, **more}
        yield Mutant(
            f"architecture: inverse transform, {what}",
            *("huge shape", "sparse"),
            with_json(
                preset_files.ARCHITECTURE,
                lambda data, layer=layer: changed(data, ("layers", "relu"), layer),
            ),
        )


def _arguments():
    """Arguments that each are allowed, but not for this layer, or not together."""
    changes = {
        ("first", "kernel_size"): ([7, 7], [3], [3, 3, 3], [], [2, 3], [2**24, 2**24]),
        ("first", "strides"): ([2, 2], [0, 1], [1], [1, 1, 1], [2**24, 1]),
        ("first", "padding"): ("circular", "causal", "valid", "reflect"),
        ("first", "dilation_rate"): ([2**14 + 1, 1], [0, 0], [1]),
        ("first", "groups"): (2, 3, 0, 2**24),
        ("first", "filters"): (3, 5, 2**24),
        ("first", "use_bias"): (False,),
        ("first", "activation"): ("exec", "softmax_", "", None),
        ("norm", "axis"): (1, 2, 3.0, 9, -9, [3]),
        ("norm", "momentum"): (1.1, -0.1, "0.9"),
        ("norm", "epsilon"): (2, -1e-3),
        ("norm", "center"): (False, 1),
        ("norm", "scale"): (False, "true"),
        ("pool", "pool_size"): ([4, 4], [7, 7], [2], [2, 2, 2], [0, 2], [1]),
        ("pool", "strides"): ([3, 3], [1, 1], [0, 0], [2**24, 2**24, 1]),
        ("relu", "max_value"): (1e30, "6", [6.0], -1e31),
        ("logits", "units"): (1, 3, 2**24),
    }
    for (name, key), values in changes.items():
        for value in values:
            yield Mutant(
                f"architecture: {name} has {key}={value!r}",
                *("argument", "convolution"),
                with_json(
                    preset_files.ARCHITECTURE,
                    lambda data, name=name, key=key, value=value: changed(
                        data, ("layers", name, key), value
                    ),
                ),
            )


# How it is compiled


def _configurations():
    changes = {
        "loss": (
            *(
                "mse",
                "exec",
                "",
                None,
                ["binary_crossentropy"],
                "keras.losses.MeanError",
            ),
            *({"class_name": "Lambda"}, 3, "SparseCategoricalCrossentropy"),
        ),
        "from_logits": (None, "false", 1, 0),
        "metrics": (
            *(None, "accuracy", ["exec"], [["accuracy"]], [3], {"accuracy": 1}),
            *(["accuracy", "accuracy"], ["accuracy"] * 10**5, [CODE], ["auc"], [None]),
        ),
        "learning_rate": (
            *(0, -0.1, None, "0.1", True, [0.1], 1e31, 10**18 * 10, 1e308),
            *({"class_name": "ExponentialDecay"},),
        ),
        "global_clipnorm": (0, -1, "1", True, [1.0], 1e31),
        "clipnorm": (0, -1, "1", True, [1.0], 1.0),
    }
    for key, values in changes.items():
        for value in values:
            yield Mutant(
                f"config: {key}={value!r:.40}",
                *("compile settings", "sparse"),
                with_json(
                    preset_files.CONFIG,
                    lambda data, key=key, value=value: changed(
                        data, ("compile", key), value
                    ),
                ),
            )
    for value in (3, "adam", [], {}, True, {"optimizer": CODE}):
        yield Mutant(
            f"config: compile is {value!r:.40}",
            *("compile settings", "sparse"),
            with_json(
                preset_files.CONFIG,
                lambda data, value=value: {**data, "compile": value},
            ),
        )
