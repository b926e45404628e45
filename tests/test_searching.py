"""The search for how hard to press, on networks that are formulas."""

import pytest

from cvzoo.methods import METHODS
from cvzoo.searching import (
    Diverged,
    Result,
    Search,
    Trial,
    Watched,
    choose_metric,
)


def test_the_search_goes_below_a_pressure_that_failed():
    def run(pressure):
        if pressure > 12:
            raise Diverged("too much")
        return Result(Trial(pressure, 2 * pressure, 0.9 - pressure / 100), None)

    watched = Watched("accuracy", True)
    found = Search(run, watched, 0.9, 12)
    best, is_met = found.for_compression(20.0, METHODS["ard"]._replace(start=50.0))
    assert is_met and 20 <= best.trial.compression <= 24
    assert found.results[0].trial.failure == "too much"
    best, is_met = Search(run, watched, 0.9, 12).for_compression(500, METHODS["ard"])
    assert not is_met and 20 <= best.trial.compression <= 24
    best, is_met = Search(run, watched, 0.9, 12).for_metric(0.5, 50.0)
    assert is_met and 10 <= best.trial.pressure <= 12


def search(trials=8):
    """Over a network whose metric falls by a hundredth for each unit of pressure."""

    def run(pressure):
        return Result(Trial(pressure, 2 * pressure, 0.9 - pressure / 100), None)

    return Search(run, Watched("accuracy", True), 0.9, trials)


@pytest.mark.parametrize("start", [0.2, 5.0, 300.0])
def test_the_search_for_a_metric_ends_near_its_bound(start):
    best, is_met = search(12).for_metric(0.1, start)
    assert is_met and 8 <= best.trial.pressure <= 10 + 1e-9


def test_the_search_says_when_nothing_is_good_enough():
    found = search(3)
    best, is_met = found.for_metric(0.0001, 100.0)
    assert not is_met and best.trial.pressure == min(
        one.trial.pressure for one in found.results
    )


def test_a_loss_of_accuracy_that_any_model_meets_is_refused():
    found = search()
    with pytest.raises(ValueError, match="0.01 is one point of accuracy. Received: 2"):
        found.for_metric(2, 1.0)
    assert found.results == []


@pytest.mark.parametrize("method", ["magnitude", "ard"])
@pytest.mark.parametrize("target", [3.0, 40.0, 500.0])
def test_the_search_for_a_compression_ends_near_it(method, target):
    best, is_met = search(12).for_compression(target, METHODS[method])
    assert is_met and target <= best.trial.compression <= 1.3 * target


@pytest.mark.parametrize(
    ("name", "mode", "loss"),
    [
        ("accuracy", "auto", 0.1),
        ("val_auc", "auto", 0.1),
        ("mean_absolute_error", "auto", -0.1),
        ("loss", "auto", -0.1),
        ("mean_io_u_1", "auto", 0.1),
        ("dice_loss", "auto", -0.1),
        ("false_accept_rate", "auto", -0.1),
        ("own", "max", 0.1),
        ("accuracy", "min", -0.1),
    ],
)
def test_worse_is_more_or_less(name, mode, loss):
    watched = choose_metric({"loss": 1.0, name: 0.9}, name, mode)
    assert watched.loss(0.9, 0.8) == pytest.approx(loss)
    assert watched.loss(0.9, float("nan")) == float("inf")


def test_a_name_that_does_not_tell_what_is_better_needs_a_mode():
    with pytest.raises(ValueError, match="'score' does not tell.*Give `mode='max'`"):
        choose_metric({"loss": 1.0, "score": 0.9})
    with pytest.raises(ValueError, match="`mode` must be 'auto', 'max' or 'min'"):
        choose_metric({"loss": 1.0}, mode="maximum")


def test_the_first_compiled_metric_that_is_no_loss_is_watched():
    scores = dict.fromkeys(["loss", "kl", "a_loss", "b_recall", "b_accuracy"], 0.5)
    assert choose_metric(scores) == Watched("b_recall", True)
    losses = {name: scores[name] for name in ("a_loss", "loss")}
    assert choose_metric(losses) == Watched("loss", False)
    with pytest.raises(ValueError, match="no metric 'b_f1_score' that is one number"):
        choose_metric(scores, "b_f1_score")
