"""The study of the memory's choices: each variant changes what it says, and the table adds up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks.ablation import ablation, table
from benchmarks.memory_study import BASELINE, Memory, projection, rows_of, turns_of, worth

RANDOM = np.random.default_rng(0)
MAPS = {
    "s8": torch.from_numpy(RANDOM.normal(size=(1, 5, 8, 12)).astype(np.float32)),
    "s16": torch.from_numpy(RANDOM.normal(size=(1, 7, 4, 6)).astype(np.float32)),
}


def test_patches_have_the_maps_and_the_stride_that_were_chosen() -> None:
    assert rows_of(MAPS, BASELINE).shape == (4, 6, 12)
    assert rows_of(MAPS, replace(BASELINE, stride=8)).shape == (8, 12, 12)
    assert rows_of(MAPS, replace(BASELINE, maps=("s16",))).shape == (4, 6, 7)
    alone = rows_of(MAPS, replace(BASELINE, maps=("s16",), neighbours=(3, 1)))  # 3 x 3 is of the finer map
    assert torch.equal(alone, MAPS["s16"][0].permute(1, 2, 0))


def test_whitened_rows_are_uncorrelated_and_of_one_spread() -> None:
    mixed = torch.from_numpy(RANDOM.normal(size=(500, 6)).astype(np.float32)) @ torch.rand(6, 6)
    whitened = projection(mixed, replace(BASELINE, whiten=True))(mixed)
    standardised = projection(mixed, replace(BASELINE, standardise=True))(mixed)

    covariance = torch.cov(whitened.T)
    assert float((covariance - torch.diag(torch.diag(covariance))).abs().max()) < 0.05
    torch.testing.assert_close(standardised.std(0), torch.ones(6), rtol=0.02, atol=0.02)
    assert torch.equal(projection(mixed, BASELINE)(mixed), mixed)


def test_a_memory_scores_what_it_has_seen_as_nothing_and_place_tells_places_apart() -> None:
    rows = rows_of(MAPS, BASELINE)

    plain, placed = (Memory(iter([rows, rows + 1]), choice) for choice in (BASELINE, replace(BASELINE, position=2.0)))

    assert plain.score(rows) == pytest.approx(0, abs=5e-3)
    assert plain.score(rows.flip(0)) == pytest.approx(0, abs=5e-3)
    assert placed.score(rows) == pytest.approx(0, abs=5e-3)
    assert placed.score(rows.flip(0)) > 0.1


def test_equation_7_and_means_over_an_area_lower_the_score_of_the_farthest_cell() -> None:
    rows = rows_of(MAPS, BASELINE)
    new = torch.from_numpy(RANDOM.normal(size=rows.shape).astype(np.float32))
    farthest = replace(BASELINE, side=0)
    scores = {
        choice: Memory(iter([rows, rows + 1]), choice).score(new)
        for choice in (farthest, BASELINE, replace(BASELINE, nearest=3), replace(farthest, smooth=3))
    }
    largest = scores.pop(farthest)
    assert all(0 < score < largest for score in scores.values())


def test_turned_copies_come_back_after_a_full_turn() -> None:
    pixels = RANDOM.integers(0, 255, (40, 40, 3)).astype(np.uint8)

    frames = list(turns_of(pixels, 3))

    assert len(frames) == 4 and np.array_equal(frames[0], pixels)
    assert np.array_equal(frames[2], pixels[::-1, ::-1])


def test_the_table_says_what_a_change_adds_on_average() -> None:
    found = {
        "a x": {"baseline": (90.0, 50.0), "new": (92.0, 60.0)},
        "a y": {"baseline": (80.0, 40.0), "new": (81.0, 40.0)},
    }

    lines = table(found, ["baseline", "new"])

    assert lines[0] == "| | a x | a y | mean change |"
    assert lines[2:] == [
        "| baseline | 90.0 (50) | 80.0 (40) |  |",
        "| new | 92.0 (60) | 81.0 (40) | +1.5 ± 0.5, +5.0 ± 5.0 |",
    ]


def test_a_choice_is_judged_on_unseen_good_images_beside_the_test_images(vial_dataset: Path) -> None:
    choice = replace(BASELINE, size=160, bank=200)

    area, stopped = worth("mvtec", vial_dataset, "vial", "efficientnet_lite0", choice)
    blind, _ = worth("mvtec", vial_dataset, "vial", "efficientnet_lite0", replace(choice, size=64, bank=1))

    assert area > 0.8 and 0.3 < stopped <= 1
    assert blind < area


def test_the_command_names_a_folder_that_has_no_images(tmp_path: Path) -> None:
    found = CliRunner().invoke(ablation, ["--data", str(tmp_path), "--out", str(tmp_path / "out")])

    assert found.exit_code == 1
    assert "mvtec_ad" in found.output and "Traceback" not in found.output
