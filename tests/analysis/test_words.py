"""How numbers are written where their form changes."""

from __future__ import annotations

import pytest

from analysis import words


@pytest.mark.parametrize(
    ("p", "text"), [(0.00099, "<.001"), (0.001, ".001"), (0.0342, ".034"), (0.9994, ".999"), (0.9996, "1")]
)
def test_a_p_value_has_three_digits_from_a_thousandth_on(p, text):
    assert words.p_value(p) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(99.4, "99"), (100, "100"), (456.7, "457"), (-456.7, "-457"), (1234.5, "1,234"), (0.01234, "0.012")],
)
def test_a_number_has_two_digits_and_is_whole_from_100_on(value, text):
    assert words.two_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(999, "999"), (1000, "1.0k"), (9940, "9.9k"), (9960, "10k"), (999_000, "999k"), (1e6, "1.0M")]
)
def test_a_count_has_at_most_four_characters(value, text):
    assert words.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(9999, "9999"), (1e4, "10k"), (2e6, "2M"), (1e-4, "0.0001"), (9e-5, "9·$10^{-5}$"), (0.5, "0.5")],
)
def test_a_tick_is_plain_between_a_ten_thousandth_and_ten_thousand(value, text):
    assert words.tick(value) == text
