"""The learned head: the graph says what torch says, it learns what a defect is, and it can be repeated."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from inspection.preprocess import Geometry
from models.graph import HeadScale, features_graph, memory_graph
from models.head import Example, Head, cell_shares, train_head
from tests.models.test_graph import BANK, COARSE, FINE, FRAMES, backbone, geometry, run

CELLS = (6, 8)


def examples(seed: int) -> Iterator[Example]:
    """Noise, in half of it a cell with other features, which is marked."""
    random = np.random.default_rng(seed)
    while True:
        maps = plain(random)
        defect = np.zeros(CELLS, dtype=np.float32)
        if random.random() < 0.5:
            row, column = random.integers(CELLS[0]), random.integers(CELLS[1])
            maps[0][:3, row, column] += 4
            defect[row, column] = 1
        yield Example(maps, defect, np.ones(defect.shape, dtype=bool))


def plain(random: np.random.Generator) -> tuple[np.ndarray, ...]:
    fine = random.normal(2, 1, (FINE, *CELLS)).astype(np.float32)
    coarse = random.normal(-1, 3, (COARSE, CELLS[0] // 2, CELLS[1] // 2)).astype(np.float32)
    return fine, coarse, random.normal(5, 2, (1, *CELLS)).astype(np.float32)


def trained(seed: int = 0, steps: int = 60) -> Head:
    random = np.random.default_rng(99)
    good = (plain(random) for _ in range(20))
    return train_head(good, examples(3), steps=steps, seed=seed, done=lambda: None)


def test_a_trained_head_points_at_the_defect() -> None:
    head, new = trained(), examples(1234)

    right = [
        np.argmax(head.logits(example.maps)) == np.argmax(example.defect)
        for example in (next(new) for _ in range(200))
        if example.defect.any()
    ]

    assert len(right) > 50
    assert np.mean(right) > 0.9


def test_the_same_seed_gives_the_same_head_and_another_seed_another() -> None:
    one, two, other = (trained(seed, steps=5).weights() for seed in (1, 1, 2))

    assert all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(two).values(), strict=True))
    assert not np.array_equal(one.near_weight, other.near_weight)


def test_training_leaves_torchs_own_random_numbers_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trained(steps=1)

    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("stride", [8, 16])
def test_the_score_adds_the_strongest_of_memory_and_head_and_the_heatmap_says_where(stride: int) -> None:
    torch.manual_seed(0)
    sizes = (FINE, COARSE, 1)
    head = Head([torch.randn(size) for size in sizes], [torch.rand(size) + 0.5 for size in sizes])
    features = features_graph(backbone(), (FINE, COARSE), geometry(), stride)
    front = run(features, FRAMES)
    scale = HeadScale(per_distance=0.25, usual_logit=-3.2, per_logit=0.5)

    distances = run(memory_graph(features, geometry(), BANK, stride=stride, maps=True), FRAMES)["distance"][:, 0]
    both = run(memory_graph(features, geometry(), BANK, stride=stride, head=(head.weights(), scale)), FRAMES)

    logits = np.stack([head.logits((front["s8"][i], front["s16"][i], distances[i : i + 1])) for i in range(2)])
    parts = 0.25 * distances, np.maximum(0.5 * (logits + 3.2), 0)
    farthest = np.sort(parts[0].reshape(2, -1), axis=1)[:, -16:].mean(axis=1)
    strongest = farthest + parts[1].max(axis=(1, 2))
    np.testing.assert_allclose(both["score"], strongest, rtol=1e-4, atol=1e-3)
    cells = sum(parts)
    wanted = cells * (strongest / cells.max(axis=(1, 2)))[:, None, None]
    np.testing.assert_allclose(both["heatmap"], wanted, rtol=1e-4, atol=1e-3)
    assert np.array_equal(both["score"], both["heatmap"].max(axis=(1, 2)))


def test_patches_at_stride_16_are_means_of_four() -> None:
    coarse = features_graph(backbone(), (FINE, COARSE), geometry(), 16)
    fine = features_graph(backbone(), (FINE, COARSE), geometry(), 8)

    small, large = (run(model, FRAMES)["features"] for model in (coarse, fine))

    rows = large.reshape(2, 4, 2, 6, 2, -1).mean(axis=(2, 4)).reshape(-1, FINE + COARSE)
    assert small.shape == rows.shape
    np.testing.assert_allclose(small[:, :FINE], rows[:, :FINE], rtol=1e-4, atol=1e-3)
    found = run(memory_graph(coarse, geometry(), BANK, stride=16, maps=True), FRAMES)["distance"][:, 0]
    assert np.array_equal(found[:, ::2, ::2], found[:, 1::2, 1::2])
    apart = np.sqrt(((small[:, None] - BANK[None]) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(found[:, ::2, ::2].ravel(), apart, rtol=1e-3, atol=1e-3)


def test_cells_outside_the_mask_are_zero() -> None:
    from inspection.region import encode_region_mask

    inside = np.zeros((64, 96), dtype=bool)
    inside[:, 40:70] = True
    masked = Geometry(height=64, width=96, aspect=1.5, mask=encode_region_mask(inside))
    features = features_graph(backbone(), (FINE, COARSE), masked)

    found = run(memory_graph(features, masked, BANK), FRAMES)["heatmap"]

    assert (found[:, :, :5] == 0).all() and (found[:, :, 9:] == 0).all()
    assert (found[:, :, 5:9] > 0).all()


def test_the_share_of_a_cell_that_is_marked() -> None:
    defect = np.zeros((16, 24), dtype=bool)
    defect[:8, :4] = True
    defect[8, 8] = True

    np.testing.assert_allclose(cell_shares(defect, 2, 3), [[0.5, 0, 0], [0, 1 / 64, 0]], atol=1e-6)
