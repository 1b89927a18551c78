"""Figures hold what they were given, show every character that fonts can, and save as asked."""

import logging

import numpy as np
import pytest

from mt import plotting

SOURCE = ["▁Ein", "▁Hund", "▁bell", "t", "."]
TARGET = ["▁A", "▁dog", "▁bark", "s", "."]
WEIGHTS = [[0.0, 0.1, 0.2, 0.3, 0.4]] * 5


def tick_labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_the_heat_map_shows_the_weights_and_tokens():
    figure = plotting.alignment_figure(SOURCE, TARGET[:3], WEIGHTS[:3])
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), WEIGHTS[:3])
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert tick_labels(axes.xaxis) == ["Ein", "Hund", "bell", "t", "."]
    assert tick_labels(axes.yaxis) == ["A", "dog", "bark"]


def test_dollar_signs_and_control_characters_draw_as_text(tmp_path):
    figure = plotting.alignment_figure(["▁$x$", "▁", "\x00\n"], ["▁$\\frac$"], [[0.5, 0.5, 0.0]])
    assert tick_labels(figure.axes[0].xaxis) == ["$x$", "▁", "��"]
    plotting.save_figure(figure, tmp_path / "a.png")  # mathtext would raise here


def test_characters_that_join_letters_are_kept():
    figure = plotting.alignment_figure(["▁می\u200cرود"], ["▁a"], [[1.0]])
    assert tick_labels(figure.axes[0].xaxis) == ["می\u200cرود"]


@pytest.mark.filterwarnings("error")  # such as that no room is left for the axes
def test_long_pieces_in_a_short_sentence_have_room():
    token = "▁Donaudampfschifffahrtsgesellschaft"
    figure = plotting.alignment_figure([token] * 3, [token] * 2, [[0.5, 0.2, 0.3]] * 2)
    figure.draw_without_rendering()
    axes, whole = figure.axes[0], figure.bbox
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        extent = label.get_window_extent()
        assert 0 < extent.x0 < extent.x1 < whole.x1
        assert 0 < extent.y0 < extent.y1 < whole.y1


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 150), (90, 3)])
def test_any_size_of_sentence_can_be_drawn(tmp_path, rows, columns):
    weights = np.full((rows, columns), 1 / columns).tolist()
    figure = plotting.alignment_figure(["▁s"] * columns, ["▁t"] * rows, weights)
    assert max(figure.get_size_inches()) < 42
    plotting.save_figure(figure, tmp_path / "a.png")


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"5 rows of \[5\] columns: expected 4 rows"):
        plotting.alignment_figure(SOURCE, TARGET[:4], WEIGHTS)
    with pytest.raises(ValueError, match="nothing to draw"):
        plotting.alignment_figure([], TARGET, WEIGHTS)


@pytest.mark.parametrize("suffix", plotting.FIGURE_SUFFIXES)
def test_figures_are_saved_in_every_accepted_format(tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    plotting.save_figure(plotting.alignment_figure(SOURCE, TARGET, WEIGHTS), path)
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(start)


def test_an_unknown_format_or_folder_is_named(tmp_path):
    figure = plotting.alignment_figure(SOURCE, TARGET, WEIGHTS)
    with pytest.raises(ValueError, match=r"suffix '\.bmp'; use one of \.png, \.pdf, \.svg"):
        plotting.save_figure(figure, tmp_path / "a.bmp")
    with pytest.raises(FileNotFoundError, match="missing: no such folder for the picture"):
        plotting.save_figure(figure, tmp_path / "missing" / "a.png")


def test_fonts_follow_the_characters(monkeypatch, caplog):
    coverage = {"DejaVu Sans": {97}, "Small": {0x4F60}, "Large": {0x4F60, 0x597D}}

    class Face:
        def __init__(self, name):
            self.name = name

    class Manager:
        ttflist = tuple(Face(name) for name in coverage)

    monkeypatch.setattr(plotting, "fontManager", Manager())
    monkeypatch.setattr(plotting, "_coverage", lambda name: frozenset(coverage[name]))
    assert plotting.covering_fonts("a") == ["DejaVu Sans"]
    assert plotting.covering_fonts("a你好") == ["DejaVu Sans", "Large"]
    with caplog.at_level(logging.WARNING):
        assert plotting.covering_fonts("a你☃") == ["DejaVu Sans", "Large"]
    assert "no installed font shows these characters: ☃" in caplog.text


def test_a_font_that_is_gone_shows_nothing(monkeypatch, caplog):
    def gone(path):
        raise FileNotFoundError(2, "No such file or directory", path)

    plotting._coverage.cache_clear()
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(plotting, "get_font", gone)
        assert plotting.alignment_figure(["你"], ["好"], [[1.0]]).axes
    plotting._coverage.cache_clear()
    assert "no installed font shows these characters: " in caplog.text


def test_the_bundled_font_covers_european_scripts_and_arabic():
    assert plotting.covering_fonts("äß łž ру ελ مرحبا▁") == ["DejaVu Sans"]


def test_bleu_by_length_draws_a_line_per_system_and_the_counts():
    scores = {"_attention": [40.0, 41.0], "a_$baseline$": [38.0, 20.0]}
    figure = plotting.bleu_by_length_figure(["1-5", "6-10"], scores, counts=[30, 70], title="t")
    lines, bars = figure.axes[0].lines, figure.axes[1].patches
    assert [list(line.get_ydata()) for line in lines] == list(scores.values())
    assert len({line.get_color() for line in lines} | {line.get_marker() for line in lines}) == 4
    assert [bar.get_height() for bar in bars] == [30, 70]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(scores)


def test_many_lines_differ_and_long_names_stay_in_the_picture():
    for length, n_columns in ((3, 3), (45, 1)):
        scores = {f"{number:n>{length}}": [number] for number in range(30)}
        figure = plotting.bleu_by_length_figure(["1"], scores, counts=[1], title="t")
        looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
        assert len(looks) == 30
        figure.draw_without_rendering()
        box, [legend] = figure.bbox, figure.legends
        assert legend._ncols == n_columns
        assert box.x0 <= legend.get_window_extent().x0 < legend.get_window_extent().x1 <= box.x1
        assert figure.axes[0].get_window_extent().height > 2 * figure.dpi


def test_a_title_is_text(tmp_path, caplog):
    figure = plotting.bleu_by_length_figure(
        ["1"], {"a": [1.0]}, counts=[1], title="t$e^$\U0010fffd"
    )
    assert "no installed font shows these characters: \U0010fffd" in caplog.text
    plotting.save_figure(figure, tmp_path / "a.png")  # mathtext would raise here


def test_gradient_reach_draws_both_views(tmp_path):
    figure = plotting.gradient_reach_figure(
        {"_a": [1.0, 0.1, 0.01], "$b": [0.5, 0.5]},
        {"_a": [2.0, 0.5], "$b": [1.0, 1.0]},
        title="te$t^$",
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["_a", "$b"]
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert list(left.lines[0].get_xdata()) == [1, 2, 3]
    assert list(right.lines[0].get_xdata()) == [25.0, 75.0]
    plotting.save_figure(figure, tmp_path / "g.png")
