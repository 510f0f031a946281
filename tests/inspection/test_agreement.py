"""Cohen's kappa and its interval, against other implementations and published figures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from inspection.agreement import agreement, cohens_kappa

NAMES = ("confirm_reject", "cannot_tell", "false_reject")
Pairs = list[tuple[str, str]]
pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=200)


@given(pairs)
@settings(deadline=None)
def test_kappa_is_scikit_learn_s(given_pairs: Pairs) -> None:
    found = agreement(given_pairs, NAMES)
    assert found.units == len(given_pairs)
    assert found.same == sum(first == second for first, second in given_pairs)
    if found.kappa is None:
        assert len({name for pair in given_pairs for name in pair}) == 1
        return
    first, second = zip(*given_pairs, strict=True)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second, labels=NAMES), abs=1e-12)
    assert found.low is not None and found.high is not None
    assert -1 <= found.low <= found.kappa + 1e-12 and found.kappa - 1e-12 <= found.high <= 1


@given(pairs)
@settings(deadline=None)
def test_it_does_not_matter_who_was_first_nor_in_what_order_units_came(given_pairs: Pairs) -> None:
    found = agreement(given_pairs, NAMES)
    turned = agreement([(second, first) for first, second in reversed(given_pairs)], tuple(reversed(NAMES)))
    for one, other in ((found.kappa, turned.kappa), (found.low, turned.low), (found.high, turned.high)):
        assert (one is None) is (other is None)
        assert one is None or one == pytest.approx(other, abs=1e-6)  # roots of what is 0 but for rounding


def test_the_standard_error_of_a_published_table() -> None:
    """Fleiss, Levin, Paik, table 18.1: two raters, 100 subjects; kappa 0.676 and its standard error 0.088."""
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    kappa, error = cohens_kappa(table)
    assert (round(kappa or 0, 3), round(error or 0, 3)) == (0.676, 0.088)


def test_the_interval_holds_the_true_kappa_as_often_as_it_says() -> None:
    """Drawn 400 times from a known table, 200 units each."""
    truth = np.array([[0.5, 0.05, 0.05], [0.03, 0.1, 0.02], [0.05, 0.0, 0.2]])
    rows, columns = truth.sum(axis=1), truth.sum(axis=0)
    kappa = (np.trace(truth) - rows @ columns) / (1 - rows @ columns)
    random, held = np.random.default_rng(4), 0
    for _ in range(400):
        drawn = random.multinomial(200, truth.ravel()).reshape(3, 3)
        found, error = cohens_kappa(drawn)
        assert found is not None and error is not None
        held += abs(found - kappa) < 1.96 * error
    assert 0.91 < held / 400 < 0.98


def test_what_has_no_kappa() -> None:
    assert agreement([], NAMES).kappa is None
    same = agreement([(NAMES[0], NAMES[0])] * 9, NAMES)
    assert (same.kappa, same.low, same.share) == (None, None, 1.0)
    with pytest.raises(KeyError):
        agreement([("good", "bad")], NAMES)
    whole = agreement([(NAMES[0], NAMES[0]), (NAMES[2], NAMES[2])], NAMES)
    assert whole.kappa is not None and math.isclose(whole.kappa, 1)
