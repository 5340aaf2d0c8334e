"""Calibration: from logits to probabilities and labels, fitted and read back to the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.calibrate import Calibration, softmax
from models.errors import CheckpointError
from models.fit_calibration import fit, fit_sentiment, fit_unsure
from models.labels import SEVERE_TOPICS, TOPICS
from models.measure import calibration_noise, expected_calibration_error, macro_f1, risk_coverage, score_topics

RANDOM = np.random.default_rng(11)


def logits_for(labels: list[tuple[int, ...]], strength: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    topic, main = np.full((len(labels), 20), -strength), np.zeros((len(labels), 20))
    for row, found in enumerate(labels):
        topic[row, list(found)] = strength
        main[row, found[0]] = strength
    return topic, main


def test_probabilities_sum_to_one_and_survive_the_manifest() -> None:
    calibration = replace(Calibration.identity(), temperature=1.7, bias=np.array([0.1, -0.2, 0.1]), unsure_below=0.55)
    read = Calibration.from_manifest(calibration.to_manifest())
    logits = RANDOM.normal(size=(40, 3)) * 50
    shares = calibration.apply_sentiment(logits)
    assert np.allclose(shares.sum(1), 1) and np.isfinite(shares).all()
    assert np.array_equal(shares, read.apply_sentiment(logits))
    assert read.unsure_below == 0.55


def test_topics_come_most_central_first_and_other_stands_alone() -> None:
    macro, market, other = (TOPICS.index(name) for name in ("macro_policy", "market_move", "other"))
    topic, main = logits_for([(macro, market), (other, market), (market, other)])
    _, chosen = Calibration.identity().apply_topics(topic, main)
    assert chosen == [("macro_policy", "market_move"), ("other",), ("market_move",)]


def test_no_text_goes_without_a_topic_and_none_gets_four() -> None:
    calibration = Calibration.identity()
    _, none = calibration.apply_topics(np.full((5, 20), -30.0), np.zeros((5, 20)))
    _, many = calibration.apply_topics(np.full((5, 20), 30.0), np.zeros((5, 20)))
    assert all(len(labels) == 1 for labels in none)
    assert all(1 <= len(labels) <= 3 for labels in many)


@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: manifest.pop("calibration"),
        lambda manifest: manifest["thresholds"].pop("litigation"),
        lambda manifest: manifest["calibration"]["topics"]["slope"].pop(),
        lambda manifest: manifest["calibration"]["sentiment"].update(temperature=0.0),
        lambda manifest: manifest["calibration"]["sentiment"].update(power=-1.0),
        lambda manifest: manifest["calibration"]["sentiment"].update(bias=[0.0, float("nan"), 0.0]),
        lambda manifest: manifest.update(unsure_below=2.0),
    ],
)
def test_a_damaged_calibration_is_refused(damage: object) -> None:
    manifest = Calibration.identity().to_manifest()
    damage(manifest)  # type: ignore[operator]
    with pytest.raises(CheckpointError):
        Calibration.from_manifest(manifest)


def test_an_overconfident_model_is_cooled_down() -> None:
    true_logits = RANDOM.normal(size=(4000, 3)) * 1.5
    truth = np.array([RANDOM.choice(3, p=row) for row in softmax(true_logits)])
    temperature, power, bias = fit_sentiment(true_logits * 3, truth)
    assert temperature == pytest.approx(3.0, rel=0.15) and power == pytest.approx(1.0, abs=0.15)
    assert np.abs(bias).max() < 0.2
    raw, fitted = softmax(true_logits * 3), softmax(true_logits * 3 / temperature + bias)
    before = expected_calibration_error(raw.max(1), raw.argmax(1) == truth)
    after = expected_calibration_error(fitted.max(1), fitted.argmax(1) == truth)
    assert after < 0.03 < before


def test_a_model_whose_large_gaps_are_squeezed_is_sure_again_where_it_may_be() -> None:
    true_logits = RANDOM.normal(size=(6000, 3)) * 3
    truth = np.array([RANDOM.choice(3, p=row) for row in softmax(true_logits)])
    gaps = true_logits.max(1, keepdims=True) - true_logits
    squeezed = -np.sqrt(gaps)
    temperature, power, bias = fit_sentiment(squeezed, truth)
    assert power == pytest.approx(2.0, rel=0.15)
    fitted = replace(Calibration.identity(), temperature=temperature, power=power, bias=bias)
    assert Calibration.from_manifest(fitted.to_manifest()).power == power
    shares = fitted.apply_sentiment(squeezed)
    assert expected_calibration_error(shares.max(1), shares.argmax(1) == truth) < 0.02


def test_a_manifest_without_a_power_means_one() -> None:
    manifest = replace(Calibration.identity(), temperature=1.7).to_manifest()
    del manifest["calibration"]["sentiment"]["power"]
    logits = RANDOM.normal(size=(40, 3)) * 5
    assert np.allclose(Calibration.from_manifest(manifest).apply_sentiment(logits), softmax(logits / 1.7))


def test_severe_topics_are_found_even_when_the_network_is_shy() -> None:
    severe = TOPICS.index(SEVERE_TOPICS[0])
    labels: list[tuple[int, ...]] = [(15, severe) if k % 4 == 0 else (15,) for k in range(400)]
    topic, main = logits_for(labels, 2.0)
    topic += RANDOM.normal(size=topic.shape)
    topic[:, severe] -= 2.0
    natural = [True] * len(labels)
    calibration = fit(RANDOM.normal(size=(400, 3)), topic, main, [k % 3 for k in range(400)], labels, natural)
    _, chosen = calibration.apply_topics(topic, main)
    found = [SEVERE_TOPICS[0] in names for names, real in zip(chosen, labels, strict=True) if severe in real]
    assert np.mean(found) >= 0.75


def test_the_unsure_band_is_empty_for_a_model_that_is_right() -> None:
    confidence = np.linspace(0.4, 1.0, 200)
    assert fit_unsure(confidence, np.ones(200, dtype=bool)) == 0.0
    wrong_when_low = confidence > 0.5
    assert 0.4 < fit_unsure(confidence, wrong_when_low) <= 0.53


def test_calibration_error_is_small_for_honest_probabilities_and_large_for_boasts() -> None:
    confidence = RANDOM.uniform(0.4, 1.0, 5000)
    honest = RANDOM.random(5000) < confidence
    assert expected_calibration_error(confidence, honest) < 0.03
    assert expected_calibration_error(np.full(5000, 0.99), honest) > 0.2
    assert 0.0 < calibration_noise(confidence, repeats=20) < 0.03


def test_scores_of_a_small_table_by_hand() -> None:
    assert macro_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), 3) == pytest.approx((0.8 + 2 / 3) / 2)
    scores = score_topics([(0, 1), (2,)], [(0,), (3,)])
    assert scores["micro_f1"] == pytest.approx(2 * 1 / (3 + 2))
    assert scores["primary_accuracy"] == 0.5
    curve = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]), points=4)
    assert [row["error"] for row in curve] == pytest.approx([0, 0, 1 / 3, 0.5])
