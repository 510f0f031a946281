"""The line simulator: each unit can be drawn again, each defect shows, datasets are laid out as promised."""

from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data import simulator
from data.simulator import PRODUCTS, Unit, line, render, write_dataset

SEEDS = (0, 7, 2**40)
KINDS = [(product.name, defect) for product in PRODUCTS.values() for defect in product.defect_names]
EXPECTED = {
    "vial": {"particle", "fibre", "crack", "low_fill", "missing_stopper"},
    "tablet": {"chip", "crack", "spot", "broken_edge"},
}


@cache
def good(product: str, seed: int, size: tuple[int, int] | None = None) -> Unit:
    return render(product, seed, size=size)


def difference(one: Unit, other: Unit) -> NDArray[np.int16]:
    """Largest difference over the three colours, HW, grey levels."""
    apart = np.abs(one.frame.astype(np.int16) - other.frame.astype(np.int16))
    return np.asarray(apart.max(axis=2), np.int16)


def dilated(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def same(one: Unit, other: Unit) -> bool:
    return one.frame.tobytes() == other.frame.tobytes() and one.mask.tobytes() == other.mask.tobytes()


def test_the_products_and_their_defects_are_the_published_ones() -> None:
    assert {product.name: set(product.defect_names) for product in PRODUCTS.values()} == EXPECTED
    for name, product in PRODUCTS.items():
        assert product.name == name
        assert {defect.severity for defect in product.defects} <= {"critical", "major", "minor"}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_unit_has_an_empty_mask_and_the_products_frame(product: str, seed: int) -> None:
    unit = good(product, seed)
    width, height = PRODUCTS[product].size
    assert unit.frame.shape == (height, width, 3)
    assert unit.frame.dtype == np.uint8
    assert unit.frame.flags.c_contiguous
    assert unit.mask.shape == (height, width)
    assert unit.mask.dtype == np.bool_
    assert not unit.mask.any()
    assert (unit.product, unit.defect, unit.seed) == (product, None, seed)


@pytest.mark.parametrize(("product", "defect"), KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_defective_unit_is_the_good_unit_and_a_visible_defect(product: str, defect: str, seed: int) -> None:
    unit, twin = render(product, seed, defect), good(product, seed)
    assert unit.defect == defect
    assert unit.mask.dtype == np.bool_
    assert unit.mask.shape == unit.frame.shape[:2]
    changed = difference(unit, twin)
    assert (changed[unit.mask] > 25).sum() >= 10, "a careful person would not see it"
    near = dilated(unit.mask, 8)
    assert changed[near].sum() >= 0.9 * changed.sum(), "the defect reaches out of its mask"
    assert (changed[~dilated(unit.mask, 30)] <= 2).all(), "the unit changed far from its defect"
    assert (changed[unit.mask] > 3).mean() > 0.6, "the mask is much larger than the defect"


@pytest.mark.parametrize(("product", "defect"), [*KINDS, *((name, None) for name in PRODUCTS)])
def test_the_same_arguments_give_the_same_bytes(product: str, defect: str | None) -> None:
    first = render(product, 11, defect)
    render(product, 12, defect)  # nothing may carry over from one unit to the next
    assert same(first, render(product, 11, defect))


@pytest.mark.parametrize("product", PRODUCTS)
def test_good_units_differ_from_seed_to_seed_but_not_much(product: str) -> None:
    units = [good(product, seed) for seed in range(6)]
    assert len({unit.frame.tobytes() for unit in units}) == len(units)
    brightness = [float(unit.frame.mean()) for unit in units]
    assert max(brightness) < 1.1 * min(brightness)


@pytest.mark.parametrize(("product", "defect"), KINDS)
def test_a_defect_varies_from_seed_to_seed(product: str, defect: str) -> None:
    masks = {render(product, seed, defect).mask.tobytes() for seed in range(4)}
    assert len(masks) == 4


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**62),
    size=st.tuples(st.integers(96, 420), st.integers(96, 420)),
)
def test_any_seed_and_size_gives_a_unit_whose_defect_is_in_the_frame(
    kind: tuple[str, str], seed: int, size: tuple[int, int]
) -> None:
    product, defect = kind
    unit = render(product, seed, defect, size)
    assert unit.frame.shape == (size[1], size[0], 3)
    assert unit.mask.any()
    assert difference(unit, render(product, seed, size=size))[unit.mask].max() > 15


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("ampoule", 1), simulator.UnknownProduct, "vial, tablet"),
        (("vial", 1, "chip"), simulator.UnknownDefect, "particle, fibre, crack, low_fill, missing_stopper"),
        (("tablet", 1, "low_fill"), simulator.UnknownDefect, "chip, crack, spot, broken_edge"),
        (("vial", -1), simulator.BadSeed, "0 or more"),
        (("vial", 1, None, (64, 480)), simulator.BadFrameSize, "at least 96"),
    ],
)
def test_what_it_cannot_draw_is_refused_with_what_it_can(
    arguments: tuple[str, int], error: type[ValueError], words: str
) -> None:
    with pytest.raises(error, match=words) as refusal:
        render(*arguments)
    assert isinstance(refusal.value, ValueError)


def test_unit_k_of_a_line_does_not_depend_on_how_many_were_asked_for() -> None:
    short = list(line("tablet", 3, 0.5, 4))
    endless = list(islice(line("tablet", 3, 0.5), 6))
    assert len(short) == 4
    assert all(same(one, other) for one, other in zip(short, endless, strict=False))
    assert [unit.defect for unit in short] == [unit.defect for unit in endless[:4]]
    assert len({unit.seed for unit in endless}) == 6
    for unit in endless:
        assert same(unit, render("tablet", unit.seed, unit.defect))


def test_two_lines_with_different_seeds_carry_different_units() -> None:
    assert not same(next(line("vial", 1, 0.0)), next(line("vial", 2, 0.0)))


def test_defects_come_at_the_given_rate_and_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, mask = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.bool_)
    monkeypatch.setattr(  # the draw is under test, not the picture
        "data.simulator.feed.render", lambda product, seed, defect: Unit(frame, mask, product, defect, seed)
    )
    drawn = Counter(unit.defect for unit in line("vial", 5, 0.3, 4000))
    good_units = drawn.pop(None)
    assert abs(good_units / 4000 - 0.7) < 0.03
    assert set(drawn) == EXPECTED["vial"]
    assert all(abs(number / 240 - 1) < 0.3 for number in drawn.values())
    assert {unit.defect for unit in line("vial", 5, 0.0, 200)} == {None}
    assert None not in {unit.defect for unit in line("vial", 5, 1.0, 200)}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("ampoule", 1, 0.1), simulator.UnknownProduct),
        (("vial", -1, 0.1), simulator.BadSeed),
        (("vial", 1, 1.5), simulator.BadDefectRate),
        (("vial", 1, float("nan")), simulator.BadDefectRate),
        (("vial", 1, 0.1, -2), simulator.BadCount),
    ],
)
def test_a_line_that_cannot_run_is_refused_before_its_first_unit(
    arguments: tuple[str, int, float], error: type[ValueError]
) -> None:
    with pytest.raises(error):
        line(*arguments)


def test_a_dataset_has_the_mvtec_layout_and_its_masks_mark_the_defects(tmp_path: Path) -> None:
    write_dataset(tmp_path, "tablet", good=3, test_good=2, per_defect=1, seed=9)
    root = tmp_path / "tablet"
    files = {path.relative_to(root).as_posix() for path in root.rglob("*.png")}
    expected = {f"train/good/{index:03d}.png" for index in range(3)}
    expected |= {f"test/good/{index:03d}.png" for index in range(2)}
    for defect in EXPECTED["tablet"]:
        expected |= {f"test/{defect}/000.png", f"ground_truth/{defect}/000_mask.png"}
    assert files == expected
    assert [path.name for path in tmp_path.iterdir()] == ["tablet"]
    images = [path.read_bytes() for path in root.rglob("*.png") if "ground_truth" not in path.parts]
    assert len(set(images)) == len(images), "two units share a seed"
    for defect in EXPECTED["tablet"]:
        mask = read(root / "ground_truth" / defect / "000_mask.png")
        assert mask.shape == (480, 480)
        assert set(np.unique(mask)) == {0, 255}


def test_a_dataset_holds_the_rendered_units_in_rgb_and_none_that_its_line_shows(tmp_path: Path) -> None:
    write_dataset(tmp_path, "vial", good=1, test_good=0, per_defect=0, seed=4)
    stored = read(tmp_path / "vial/train/good/000.png")[..., ::-1]
    cap = stored[70:85, 180:220].reshape(-1, 3).mean(axis=0)
    assert cap[2] > 1.3 * cap[0], "the flip-off disc is not blue: red and blue are swapped"
    assert not any(np.array_equal(stored, unit.frame) for unit in line("vial", 4, 0.0, 2))


def test_train_and_test_never_share_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def watched(product: str, seed: int, defect: str | None = None) -> Unit:
        asked.append(seed)
        return Unit(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.bool_), product, defect, seed)

    monkeypatch.setattr("data.simulator.dataset.render", watched)
    write_dataset(tmp_path / "a", "vial", good=20, test_good=20, per_defect=20, seed=0)
    write_dataset(tmp_path / "b", "vial", good=20, test_good=20, per_defect=20, seed=1)
    assert len(set(asked)) == len(asked) == 2 * (20 + 20 + 5 * 20)


def test_a_dataset_never_writes_over_another(tmp_path: Path) -> None:
    precious = tmp_path / "vial" / "train" / "good" / "000.png"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"real image")
    with pytest.raises(FileExistsError, match="already holds something"):
        write_dataset(tmp_path, "vial", good=1, test_good=1, per_defect=1, seed=0)
    assert precious.read_bytes() == b"real image"
    assert [path.name for path in tmp_path.iterdir()] == ["vial"]


def test_a_dataset_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(product: str, seed: int, defect: str | None = None) -> Unit:
        if defect is not None:
            raise OSError("disk full")
        return good(product, seed)

    monkeypatch.setattr("data.simulator.dataset.render", failing)
    with pytest.raises(OSError, match="disk full"):
        write_dataset(tmp_path, "vial", good=1, test_good=1, per_defect=1, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_with_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(simulator.BadSeed, match="The seed is -3;"):
        write_dataset(tmp_path, "vial", good=1, test_good=1, per_defect=1, seed=-3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["good", "test_good", "per_defect"])
def test_a_dataset_of_fewer_than_no_units_is_refused(tmp_path: Path, name: str) -> None:
    numbers = {"good": 1, "test_good": 1, "per_defect": 1, name: -1}
    with pytest.raises(simulator.BadCount, match=f"{name} is -1"):
        write_dataset(tmp_path, "vial", seed=0, **numbers)
    assert list(tmp_path.iterdir()) == []
