from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.tuning.invented import all_failed, invented_search
from tf_finetune.errors import ConfigError
from tf_finetune.pages.drawing import INK, rank_colour
from tf_finetune.tuning.report.axis import axes_of
from tf_finetune.tuning.report.plots import plot_history, plot_parallel, plot_values
from tf_finetune.tuning.trial import Trial

PLOTS = [plot_history, plot_parallel, plot_values]
SVG = "{http://www.w3.org/2000/svg}"

with_every_plot = pytest.mark.parametrize("plot", PLOTS)


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def count_uses(svg, colour):
    """Marks and lines in one colour."""
    return len(re.findall(rf"<(?:use|path) [^>]*stroke: {colour}", svg))


@with_every_plot
@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize("names", [1, 12])
def test_a_search_of_any_size_is_drawn_within_its_borders(plot, count, names):
    svg = plot(invented_search(count, names), "val_loss")
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x", 0)) <= width
        assert 0 <= float(element.get("y", 0)) <= height


@with_every_plot
def test_a_picture_says_what_it_shows(plot):
    root = ElementTree.fromstring(plot(invented_search(), "val_accuracy"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find(f"{SVG}title").text
    description = root.find(f"{SVG}desc").text
    assert "20 trials: 17 completed, 3 of them stopped early, and 2 failed" in description
    assert "the best is trial 00" in description


@with_every_plot
def test_a_picture_has_the_ink_of_its_page_and_nothing_of_the_time(plot):
    svg = plot(invented_search(), "val_accuracy")
    assert svg == plot(invented_search(), "val_accuracy") == plot(invented_search()[::-1], "val_accuracy")
    assert "currentColor" in svg
    assert not any(word in svg for word in (INK, "#000000", "#ffffff", "<metadata", "<style", "<?xml", "<!DOCTYPE"))


def test_ids_differ_between_the_pictures_of_a_page():
    ids = [found for plot in PLOTS for found in re.findall(r' id="([^"]*)"', plot(invented_search(), "val_accuracy"))]
    assert ids and len(set(ids)) == len(ids)


def test_the_users_own_settings_of_matplotlib_change_nothing():
    import matplotlib

    before = [plot(invented_search(names=3), "val_accuracy") for plot in PLOTS]
    with matplotlib.rc_context({"font.size": 30, "axes.linewidth": 5, "xtick.labelsize": 30, "svg.fonttype": "path"}):
        assert [plot(invented_search(names=3), "val_accuracy") for plot in PLOTS] == before


@with_every_plot
def test_a_search_that_failed_altogether_says_so(plot):
    svg = plot(all_failed(), "val_accuracy")
    assert "No trial was completed. Trials: 6." in svg
    assert "failed" in texts(svg)


def test_the_history_has_the_best_so_far_the_baseline_and_the_failures():
    scores = [0.8, 0.7, 0.9, None, 0.85]
    trials = [
        replace(trial, score=score, status="failed" if score is None else "completed", pruned=False)
        for trial, score in zip(invented_search(6), scores)
    ]
    words = texts(plot_history(trials, "val_accuracy"))
    assert {"best: 0002", "baseline 0.8000", "best so far", "failed", "val_accuracy (greater is better)"} <= set(words)
    assert "stopped early" not in words
    assert "best: 0001" in texts(plot_history(trials, "val_loss"))
    assert not any("baseline" in word for word in texts(plot_history(trials[1:], "val_loss")))


def test_parallel_lines_are_coloured_by_rank_with_the_better_score_above():
    trials = [Trial(f"{i:04}", {"fit.power": 1.0 + i}, "completed", score) for i, score in enumerate((0.1, 0.5, 0.9))]
    svg = plot_parallel(trials, "val_accuracy")
    assert [count_uses(svg, rank_colour(share)) for share in (0, 0.5, 1)] == [1, 1, 1]
    places = {}
    for objective in ("val_accuracy", "val_loss"):
        root = ElementTree.fromstring(plot_parallel(trials, objective))
        places[objective] = {element.text: float(element.get("y")) for element in root.iter(f"{SVG}text")}
    assert places["val_accuracy"]["0.9000"] < places["val_accuracy"]["0.1000"]
    assert places["val_loss"]["0.9000"] > places["val_loss"]["0.1000"]


def test_every_value_has_an_axis_and_a_panel():
    for plot in (plot_parallel, plot_values):
        words = "".join(texts(plot(invented_search(names=12), "val_accuracy")))
        for name in invented_search()[0].values:
            assert name in words


def test_axes_are_linear_logarithmic_or_of_categories():
    axes = {axis.name: axis for axis in axes_of(invented_search(40))}
    kinds = {name: axis.kind for name, axis in axes.items()}
    assert kinds["fit.learning_rate"] == kinds["fit.weight_decay"] == "log"
    assert kinds["fit.batch_size"] == kinds["fit.patience"] == kinds["fit.clip_norm"] == "linear"
    assert kinds["model.freeze"] == kinds["fit.deterministic"] == "category"
    decay = [axes["fit.weight_decay"].position(value) for value in (0.0, 0.001, 0.01, 0.1)]
    assert decay[0] == 0 and decay[3] == 1
    assert decay[3] - decay[2] == pytest.approx(decay[2] - decay[1])
    assert [label for _, label in axes["fit.weight_decay"].ticks(width=9)] == ["0", "0.001", "0.01", "0.1"]
    assert [label for _, label in axes["fit.patience"].ticks(width=9)] == ["none", "2", "3"]
    assert [label for _, label in axes["model.freeze"].ticks(width=9)] == ["none", "embe…ings", "embe…,0-3"]
    assert axes["fit.clip_norm"].position(1.0) == 0.5


@with_every_plot
def test_an_unknown_objective_is_refused(plot):
    with pytest.raises(ConfigError, match="Received: 'auroc'"):
        plot(invented_search(), "auroc")
