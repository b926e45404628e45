"""Sparsifiers: what a linear layer holds to become sparse, as it would a regularizer.

A sparsifier keeps no state. What it needs, it adds to its layer: `log_sigma2` (one
value per weight, complex or real), `mask` (likewise) and `penalty_scale`.
Two sparsifiers are combined by `+`, for example
`ARD(0.03, group="unit") + MagnitudePruning(0.98, end_step=600)`.
"""

import math
import numbers

import keras
import numpy as np


class Sparsifier:
    """Base class: a sparsifier that does nothing.

    Attributes:
        is_random: Whether outputs get noise of variance `|x|² σ²` in training.
        posterior: `"circular"`, or `"scaling"`: complex noise along each mean only.
        is_mask: Whether it gives the layer a `mask`.
        terms: The sparsifiers that this one is the sum of.
    """

    is_random = False
    is_mask = False
    posterior = "circular"

    @property
    def terms(self):
        return (self,)

    def __add__(self, other):
        if not isinstance(other, Sparsifier):
            return NotImplemented
        return Combined(self.terms + other.terms)

    def build(self, layer):
        """Adds the weights that the sparsifier needs to `layer`."""

    def update(self, layer):
        """Called once at each training step, before the kernel is used."""

    def penalty(self, layer):
        """float32 scalar to add to the loss in training, or `None`."""

    def keep(self, layer, threshold):
        """numpy bool array, or `None`: which weights survive pruning."""

    def for_layers(self, shapes, n_train):
        """One sparsifier for each layer of a model.

        Args:
            shapes: Kernel shapes of the layers.
            n_train: Number of training examples, or `None`.
        """
        return [self] * len(shapes)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable("cvzoo")
class Combined(Sparsifier):
    """Several sparsifiers on one layer; made by `+`.

    A weight survives pruning if every term keeps it.
    """

    def __init__(self, terms):
        self._terms = tuple(
            keras.saving.deserialize_keras_object(term)
            if isinstance(term, dict)
            else term
            for term in terms
        )
        kinds = [(type(term), getattr(term, "group", None)) for term in self._terms]
        if len(set(kinds)) < len(kinds):
            raise ValueError(
                "A sparsifier of one kind can be added once. "
                f"Received: {list(self._terms)}"
            )
        if sum(term.is_mask for term in self._terms) > 1:
            raise ValueError(
                "A layer has one mask, so one of MagnitudePruning and FixedMask must "
                f"do. Received: {list(self._terms)}"
            )

        posteriors = {term.posterior for term in self._terms if term.is_random}
        if len(posteriors) > 1:
            raise ValueError(
                "A layer has one posterior, so the `posterior` of all terms must be "
                f"the same; ARD's is 'circular'. Received: {list(self._terms)}"
            )

    @property
    def terms(self):
        return self._terms

    @property
    def posterior(self):
        (posterior,) = {term.posterior for term in self._terms if term.is_random} or {
            "circular"
        }
        return posterior

    @property
    def is_random(self):
        return any(term.is_random for term in self._terms)

    def build(self, layer):
        for term in self._terms:
            term.build(layer)

    def update(self, layer):
        for term in self._terms:
            term.update(layer)

    def penalty(self, layer):
        penalties = [term.penalty(layer) for term in self._terms]
        penalties = [penalty for penalty in penalties if penalty is not None]
        return sum(penalties) if penalties else None

    def keep(self, layer, threshold):
        kept = [term.keep(layer, threshold) for term in self._terms]
        kept = [mask for mask in kept if mask is not None]
        return np.logical_and.reduce(kept) if kept else None

    def for_layers(self, shapes, n_train):
        by_term = [term.for_layers(shapes, n_train) for term in self._terms]
        return [Combined(terms) for terms in zip(*by_term, strict=True)]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"terms": [serialize(term) for term in self._terms]}


def get(identifier):
    """A sparsifier from a sparsifier, its configuration, or `None`."""
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if identifier is None or isinstance(identifier, Sparsifier):
        return identifier
    raise ValueError(
        "`sparsifier` must be None, VariationalDropout, ARD, MagnitudePruning or "
        f"FixedMask. Received: {identifier!r}"
    )


def is_number(value):
    """Whether the value of an argument is a finite number."""
    return isinstance(value, numbers.Real) and math.isfinite(value)
