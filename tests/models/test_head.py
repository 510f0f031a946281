"""The learned head: the graph says what torch says, it learns what a defect is, and it can be repeated."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from inspection.preprocess import Geometry
from models.graph import HeadScale, features_graph, memory_graph
from models.head import Example, Head, cell_shares, train_head
from models.projection import principal_directions
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
        yield Example(maps, defect)


def plain(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    fine = random.normal(2, 1, (FINE, *CELLS)).astype(np.float32)
    coarse = random.normal(-1, 3, (COARSE, CELLS[0] // 2, CELLS[1] // 2)).astype(np.float32)
    return fine, coarse


def trained(seed: int = 0, steps: int = 150) -> Head:
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


@pytest.mark.parametrize("kept", [0, 4])
def test_the_graph_adds_the_heads_logits_to_the_distances(kept: int) -> None:
    torch.manual_seed(0)
    means, deviations = (torch.randn(FINE), torch.randn(COARSE)), (torch.rand(FINE) + 0.5, torch.rand(COARSE) + 0.5)
    head = Head(means, deviations)
    features = features_graph(backbone(), (FINE, COARSE), geometry())
    front = run(features, FRAMES)
    projection = principal_directions([front["features"]], kept) if kept else None
    bank = BANK if projection is None else BANK @ projection
    scale = HeadScale(per_distance=0.25, usual_logit=-3.2, per_logit=0.5)

    distances = run(memory_graph(features, geometry(), bank, projection=projection), FRAMES)["heatmap"]
    both = run(memory_graph(features, geometry(), bank, projection=projection, head=(head.weights(), scale)), FRAMES)

    logits = np.stack([head.logits((front["s8"][i], front["s16"][i])) for i in range(2)])
    wanted = 0.25 * distances + np.maximum(0.5 * (logits + 3.2), 0)
    np.testing.assert_allclose(both["heatmap"], wanted, rtol=1e-4, atol=1e-3)
    assert np.array_equal(both["score"], both["heatmap"].max(axis=(1, 2)))


def test_a_projection_keeps_the_distances_it_says() -> None:
    features = features_graph(backbone(), (FINE, COARSE), geometry())
    rows = run(features, FRAMES)["features"]
    whole = principal_directions([rows[:50], rows[50:]], FINE + COARSE)

    plain = run(memory_graph(features, geometry(), BANK), FRAMES)["heatmap"]
    turned = run(memory_graph(features, geometry(), BANK @ whole, projection=whole), FRAMES)["heatmap"]

    np.testing.assert_allclose(whole.T @ whole, np.eye(FINE + COARSE), atol=1e-5)
    np.testing.assert_allclose(turned, plain, rtol=1e-3, atol=1e-2)
    centred = rows - rows.mean(axis=0)
    kept = [np.square(centred @ principal_directions([rows], count)).sum() for count in (1, 2, 4)]
    strongest = np.linalg.svd(centred.astype(np.float64), compute_uv=False) ** 2
    np.testing.assert_allclose(kept, np.cumsum(strongest)[[0, 1, 3]], rtol=1e-3)


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
