"""Probabilities of clicks and of late conversions against the law that made them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.ads.classifiers import HASHED, XGBOOST, Blocks
from ecomine.ads.response import ClickModel, ConversionModel
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError


def contacts(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.random.Generator]:
    """Columns, and the true probability of a response."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "affinity": random.normal(size=rows),
            "place": random.integers(1, 4, rows),
            "campaign": random.choice([f"c{k}" for k in range(30)], rows),
            "device": random.choice(["phone", "desk"], rows),
        }
    )
    good = frame["campaign"].str[1:].astype(int).to_numpy() % 5 / 2
    odds = -2.2 + 0.9 * frame["affinity"].to_numpy() - 0.4 * frame["place"].to_numpy() + good
    return frame, 1 / (1 + np.exp(-odds)), random


@pytest.mark.parametrize("base", [XGBOOST, HASHED])
def test_clicks_are_told_and_calibrated(base: str, tmp_path: Path) -> None:
    frame, chance, random = contacts(8000, 1)
    model = ClickModel(base, threads=1).fit(frame, random.random(8000) < chance)
    later, true, _ = contacts(6000, 2)
    told = model.predict(later)
    assert np.corrcoef(told, true)[0, 1] > 0.9
    assert told.mean() == pytest.approx(true.mean(), rel=0.07)
    groups = np.array_split(np.argsort(told), 5)
    assert max(abs(told[group].mean() - true[group].mean()) for group in groups) < 0.03
    model.save(tmp_path)
    assert (ClickModel.load(tmp_path).predict(later) == told).all()
    unseen = later.iloc[:3].assign(campaign="never seen")
    assert np.isfinite(model.predict(unseen)).all()


@pytest.mark.parametrize("base", [XGBOOST, HASHED])
def test_blocks_teach_what_one_frame_does(base: str) -> None:
    drawn = [contacts(2000, 20 + number) for number in range(6)]
    days = [(frame, random.random(2000) < chance) for frame, chance, random in drawn]
    opened: list[int] = []

    def blocks(first: int, last: int) -> Blocks:
        def read() -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
            opened.append(first)
            yield from ((frame, clicked.astype(float)) for frame, clicked in days[first:last])

        return read

    model = ClickModel(base, threads=1).fit_blocks(blocks(0, 5), blocks(5, 6))
    later, true, _ = contacts(6000, 2)
    told = model.predict(later)
    assert np.corrcoef(told, true)[0, 1] > 0.9
    assert told.mean() == pytest.approx(true.mean(), rel=0.1)
    frame, clicked = pd.concat([day for day, _ in days[:5]]), np.concatenate([hits for _, hits in days[:5]])
    whole = ClickModel(base, threads=1).fit(frame, clicked)
    assert np.corrcoef(told, whole.predict(later))[0, 1] > 0.93
    assert opened.count(5) == 1 < opened.count(0)
    with pytest.raises(NotEnoughDataError, match="expected both 0 and 1"):
        ClickModel(base, threads=1).fit_blocks(blocks(0, 5), lambda: iter([(days[5][0], np.zeros(2000))]))


def late(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Contacts of the last fortnight; conversions come after 4 days on average on a phone, 10 at a desk."""
    frame, chance, random = contacts(rows, seed)
    delay = random.exponential(np.where(frame["device"] == "phone", 4.0, 10.0))
    elapsed = random.uniform(0, 14, rows)
    will = random.random(rows) < chance
    return frame, will & (delay <= elapsed), delay, elapsed, chance


@pytest.mark.parametrize("base", [XGBOOST, HASHED])
def test_conversions_still_to_come_are_counted(base: str, tmp_path: Path) -> None:
    frame, converted, delay, elapsed, chance = late(6000, 3)
    model = ConversionModel(base, threads=1).fit(frame, converted, delay, elapsed)
    told = model.predict(frame)
    naive = converted.mean()
    assert naive < 0.7 * chance.mean()
    assert told.mean() == pytest.approx(chance.mean(), rel=0.1)
    for device, days in (("phone", 4.0), ("desk", 10.0)):
        here = (frame["device"] == device).to_numpy()
        assert told[here].mean() == pytest.approx(chance[here].mean(), rel=0.17)
        assert model.mean_delay_days(frame)[here].mean() == pytest.approx(days, rel=0.4)
    assert np.corrcoef(told, chance)[0, 1] > 0.85
    within = model.predict_within(frame, 7.0)
    true = chance * (1 - np.exp(-7 / np.where(frame["device"] == "phone", 4.0, 10.0)))
    assert within.mean() == pytest.approx(true.mean(), rel=0.1)
    model.save(tmp_path)
    assert (ConversionModel.load(tmp_path).predict(frame) == told).all()


def test_unsound_inputs_are_refused() -> None:
    frame, converted, delay, elapsed, _ = late(300, 4)
    with pytest.raises(NotEnoughDataError, match="both 0 and 1"):
        ClickModel().fit(frame, np.zeros(300))
    with pytest.raises(FeatureError, match="more days than"):
        ConversionModel().fit(frame, converted, delay + 20, elapsed)
    with pytest.raises(FeatureError, match="missing"):
        ConversionModel().fit(frame, converted, delay, np.where(elapsed > 7, np.nan, elapsed))
    with pytest.raises(SettingsError, match="base"):
        ClickModel("svm")
