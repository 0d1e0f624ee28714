from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.risk import FraudDetector
from ecomine.risk.boosting import Boosting
from ecomine.risk.validation import Stretch, card_precision, figures, recall_at_false_positives
from tests.risk import shop

SMALL = Boosting(rounds=60, seeds=1, learning_rate=0.1, colsample=0.6)
WINDOWS = {"windows": ["1d", "7d"], "label_windows": ["7d"], "boosting": SMALL, "threads": 1}
TRAINED = pd.Timestamp("2024-02-09")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return shop.payments(rows=6_000)


@pytest.fixture(scope="module")
def detector(table: pd.DataFrame) -> FraudDetector:
    return FraudDetector(**WINDOWS).fit(table, TRAINED)


def test_it_finds_frauds_of_later_days(table: pd.DataFrame, detector: FraudDetector) -> None:
    asked = (table["event_timestamp"] > TRAINED).to_numpy()
    score = detector.score(table, asked)
    found = figures(table[asked], score)
    assert found["AUC"] > 0.85 and found["AP"] > 0.6
    assert score.mean() == pytest.approx(table["is_fraud"][asked].mean(), abs=0.05)


def test_the_future_cannot_change_the_model(table: pd.DataFrame, detector: FraudDetector, tmp_path: Path) -> None:
    late = table["label_timestamp"] > TRAINED
    blanked = table.assign(is_fraud=table["is_fraud"].astype(object).where(~late, None))
    blanked["label_timestamp"] = table["label_timestamp"].where(~late)
    again = FraudDetector(**WINDOWS).fit(blanked[blanked["event_timestamp"] <= TRAINED], TRAINED)
    detector.save(tmp_path, "one")
    again.save(tmp_path, "two")
    assert (tmp_path / "one-events-0.ubj").read_bytes() == (tmp_path / "two-events-0.ubj").read_bytes()


def test_saved_and_loaded_it_answers_the_same(table: pd.DataFrame, detector: FraudDetector, tmp_path: Path) -> None:
    detector.save(tmp_path)
    loaded = FraudDetector.load(tmp_path)
    few = table.tail(200)
    np.testing.assert_array_equal(loaded.score(few), detector.score(few))
    pd.testing.assert_frame_equal(loaded.explain(few), detector.explain(few))


def test_a_great_amount_is_the_reason(table: pd.DataFrame, detector: FraudDetector) -> None:
    asked = np.zeros(len(table), bool)
    asked[table["amount"].idxmax()] = True
    reasons = detector.explain(table, asked).iloc[0]
    assert any("amount" in reason or "distance" in reason for reason in reasons)


def test_what_cannot_be_learned_from_is_told(table: pd.DataFrame) -> None:
    with pytest.raises(FeatureError, match="lack is_fraud"):
        FraudDetector().fit(table.drop(columns="is_fraud"), TRAINED)
    with pytest.raises(NotEnoughDataError, match="has a label"):
        FraudDetector().fit(table, pd.Timestamp("2024-01-01"))
    with pytest.raises(NotEnoughDataError, match="0 have the event"):
        FraudDetector(**WINDOWS).fit(table.assign(is_fraud=False), TRAINED)


def test_honest_rows_that_are_thinned_leave_probabilities_as_they_were(table: pd.DataFrame) -> None:
    thinned = FraudDetector(**{**WINDOWS, "boosting": Boosting(**{**vars(SMALL), "honest_per_fraud": 3})})
    asked = (table["event_timestamp"] > TRAINED).to_numpy()
    score = thinned.fit(table, TRAINED).score(table, asked)
    assert score.mean() == pytest.approx(table["is_fraud"][asked].mean(), abs=0.05)


def test_card_precision_by_hand() -> None:
    day = pd.to_datetime(["2024-01-01"] * 3 + ["2024-01-02"] * 3)
    table = pd.DataFrame({"event_timestamp": day, "card_id": list("abcabc"), "is_fraud": [1, 0, 0, 1, 1, 0]})
    score = np.array([0.9, 0.5, 0.1, 0.9, 0.2, 0.8])
    # a is found on the first day and gone on the second, where c stands before b.
    assert card_precision(table, score, 1) == pytest.approx(0.5)
    assert card_precision(table, score, 2) == pytest.approx(0.5)


def test_cards_known_as_compromised_leave_the_test() -> None:
    day = [0, 3, 14, 15, 16, 17]
    table = pd.DataFrame(
        {
            "event_timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D"),
            "card_id": list("aabcbc"),
            "is_fraud": [False, True, True, False, False, False],
        }
    )
    moved = pd.concat([table, table.tail(2).assign(event_timestamp=pd.Timestamp("2024-01-16"), card_id="a")])
    kept = [False, False, True, True, True, True, False, False]
    assert Stretch(pd.Timestamp("2024-01-01")).tested(moved).tolist() == kept
    fraud = table.assign(card_id=list("bbbbbb"), is_fraud=[False, False, False, False, False, False])
    fraud.loc[1, "event_timestamp"], fraud.loc[1, "is_fraud"] = pd.Timestamp("2024-01-10"), True
    # The fraud of day 9 is known a week later: from day 17 on the card is out.
    assert Stretch(pd.Timestamp("2024-01-01")).tested(fraud).tolist() == [False, False, True, True, True, False]


def test_recall_at_a_rate_of_false_positives_by_hand() -> None:
    fraud = np.array([True, True, False, False, False, False])
    assert recall_at_false_positives(fraud, np.array([0.9, 0.35, 0.4, 0.3, 0.2, 0.1]), 0.25) == pytest.approx(1.0)
    assert recall_at_false_positives(fraud, np.array([0.9, 0.25, 0.4, 0.3, 0.2, 0.1]), 0.25) == pytest.approx(0.5)
