"""Probabilities that say how often they are right, and limits from images that training has not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import average_precision_score

from models.class_graph import Labels
from training.class_calibration import probabilities, reliability, temperature
from training.class_limits import EVEN, confidence_limits, score_limits
from training.metrics import average_precision

LABELS: tuple[Labels, ...] = ("single", "multi")


def drawn(labels: Labels, seed: int, images: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets drawn with exactly the probabilities that they stand for."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (images, 3))
    found = probabilities(logits, labels)
    if labels == "multi":
        return logits, (random.random(found.shape) < found).astype(np.float32)
    edges = np.cumsum(found, axis=1)
    place = (random.random((images, 1)) > edges).sum(axis=1)  # 3: none of them
    return logits, np.eye(4, dtype=np.float32)[place][:, :3]


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("factor", [0.5, 1.5, 4.0])
def test_the_temperature_takes_back_too_much_or_too_little_confidence(labels: Labels, factor: float) -> None:
    logits, targets = drawn(labels, 0)

    assert temperature(logits * factor, targets, labels) == pytest.approx(factor, rel=0.1)


def test_images_without_a_mistake_make_it_no_surer() -> None:
    logits = np.array([[5.0], [-5.0]] * 10)

    assert temperature(logits, np.array([[1.0], [0.0]] * 10, dtype=np.float32), "single") == pytest.approx(
        1.0, abs=0.15
    )


@pytest.mark.parametrize("labels", LABELS)
def test_true_probabilities_have_a_small_calibration_error_and_exaggerated_ones_a_large(labels: Labels) -> None:
    logits, targets = drawn(labels, 1)

    def error(factor: float) -> float:
        found = probabilities(logits * factor, labels)
        return reliability(found[:, 0], targets[:, 0] > 0).error

    assert error(1.0) < 0.03 < 0.06 < error(4.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_a_reliability_diagram_counts_every_image_once(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(part) for part in zip(*pairs, strict=True))
    curve = reliability(confidence, right)

    assert sum(curve.counts) == len(pairs)
    assert 0 <= curve.error <= 1
    overall = sum(share * count for share, count in zip(curve.accuracy, curve.counts, strict=True))
    assert overall == pytest.approx(right.sum())


@given(st.integers(0, 2**32 - 1), st.floats(-6, 3))
def test_no_unit_passes_that_is_likelier_defective_than_good(seed: int, middle: float) -> None:
    odds = np.random.default_rng(seed).normal(middle, 2, 60)
    limits = score_limits(np.logaddexp(0, odds), 0.05).limits

    assert limits.review_limit <= EVEN
    assert limits.reject_limit >= limits.review_limit


def test_good_validation_images_mostly_pass() -> None:
    random = np.random.default_rng(0)
    setting = score_limits(np.logaddexp(0, random.normal(-6, 1, 500)), 0.02)
    fresh = np.logaddexp(0, random.normal(-6, 1, 5000))

    assert (fresh >= setting.limits.review_limit).mean() == pytest.approx(0.02, abs=0.015)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_above_its_limit_a_class_is_rarely_named_wrongly(seed: int, images: int) -> None:
    random = np.random.default_rng(seed)
    found = random.random((images, 2))
    targets = (random.random((images, 2)) < found).astype(np.float32)

    for limit, own, truth in zip(confidence_limits(found, targets), found.T, targets.T, strict=True):
        assert 0.5 <= limit <= 1
        named = own >= limit
        assert not named.any() or limit == 1.0 or (truth[named] == 0).mean() <= 0.05


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60).filter(
        lambda p: any(t for _, t in p)
    )
)
def test_average_precision_is_the_textbooks(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = (np.array(part) for part in zip(*pairs, strict=True))

    assert average_precision(scores.astype(float), truth) == pytest.approx(average_precision_score(truth, scores))


def test_probabilities_of_one_label_add_up_with_good() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    found = probabilities(logits, "single")

    np.testing.assert_allclose(1 - found.sum(axis=1), special.softmax(np.pad(logits, ((0, 0), (1, 0))), axis=1)[:, 0])
