"""The domain on a shop with payments: what rows know, what decisions save, what a check notices."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.domain import LABEL, Inputs
from ecomine.errors import FeatureError, SettingsError
from ecomine.risk import DOMAIN, Guard
from ecomine.risk.credit import Credit
from ecomine.risk.decisions import Costs
from ecomine.risk.evaluation import saved
from ecomine.risk.features import ANOMALY, FRAUD, mode_of, payments_of
from ecomine.risk.live import judge_live
from ecomine.risk.memory import Memory
from ecomine.risk.moment import Event
from ecomine.risk.params import RiskLimits
from ecomine.risk.policy import judge, queued
from ecomine.risk.timeline import SCALE
from ecomine.risk.velocity import ENTITIES
from ecomine.stages import Context
from ecomine.store import Store


@pytest.fixture(scope="module")
def given(watched: Path) -> Iterator[Inputs]:
    context = Context.of(watched)
    with context.connection() as connection:
        yield context.inputs(connection, DOMAIN)


@pytest.fixture(scope="module")
def model(watched: Path) -> Guard:
    return DOMAIN.load(watched / "models/risk")


@pytest.fixture(scope="module")
def waiting(watched: Path, model: Guard) -> pd.DataFrame:
    return feature_store.point_in_time(watched, DOMAIN.request(model, None), DOMAIN.service)


@pytest.fixture(scope="module")
def decisions(model: Guard, waiting: pd.DataFrame, given: Inputs) -> pd.DataFrame:
    return DOMAIN.decide(model, waiting, given.params)


def test_labels_are_those_that_were_known(given: Inputs) -> None:
    rows = DOMAIN.label(given)
    table = given.tables["payments"].df().set_index("payment_id")
    as_of, params = pd.Timestamp(given.as_of), given.params
    test_start = as_of - pd.Timedelta(days=params.maturity_days + params.test_days)
    for part, known in ((rows.train, test_start), (rows.test, as_of)):
        own = table.loc[part["payment_id"]]
        expected = own["is_fraud"].to_numpy(bool) & (own["label_timestamp"] <= known).to_numpy()
        assert part[LABEL].tolist() == expected.astype(float).tolist()
    assert rows.train["event_timestamp"].max() <= test_start - pd.Timedelta(days=params.maturity_days)
    assert rows.truth["kind"].nunique() >= 2
    # What comes after a row's moment changes nothing that is known of it.
    early = {**given.tables, "payments": given.tables["payments"].filter(f"event_timestamp <= '{test_start}'")}
    blank = table.reset_index().assign(is_fraud=False)
    blind = {**given.tables, "payments": given.connection.from_df(blank)}
    assert mode_of(dataclasses.replace(given, tables=early))[0] == ANOMALY
    assert mode_of(dataclasses.replace(given, tables=blind))[0] == ANOMALY


def test_blanking_the_labels_of_the_test_leaves_every_column_of_a_row(given: Inputs) -> None:
    table = given.tables["payments"].df()
    as_of = pd.Timestamp(given.as_of)
    late = table["event_timestamp"] > as_of - pd.Timedelta(days=given.params.maturity_days + given.params.test_days)
    keep = late & table["is_fraud"] & (table.groupby("is_fraud").cumcount() % 9 == 0)
    blank = table.assign(is_fraud=table["is_fraud"] & (~late | keep))
    other = DOMAIN.label(
        dataclasses.replace(given, tables={**given.tables, "payments": given.connection.from_df(blank)})
    )
    rows = DOMAIN.label(given)
    for name in ("train", "test"):
        one, two = getattr(rows, name).drop(columns=LABEL), getattr(other, name).drop(columns=LABEL)
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_source_without_labels_gets_the_strangest_orders(given: Inputs) -> None:
    bare = dataclasses.replace(given, tables={name: given.tables[name] for name in ("order_lines",)})
    rows = DOMAIN.label(bare)
    assert rows.notes[0] == "no payment labels in this source; anomaly detection only"
    kinds = rows.truth.loc[rows.truth["fraud"] > 0, "kind"]
    assert kinds.nunique() == 10
    assert rows.train[LABEL].sum() == 0


def test_one_payment_is_judged_like_many(model: Guard, waiting: pd.DataFrame, watched: Path, given: Inputs) -> None:
    """Live answers and published scores come from the same numbers."""
    table = pd.read_parquet(watched / "data/clean/payments.parquet").set_index("payment_id")
    last = waiting[waiting["day"] == waiting["day"].max()].reset_index(drop=True)  # nothing is later than its midnight
    reader = feature_store.OnlineReader(watched, DOMAIN.service)
    told = judge(model, last, given.params)
    midnight = pd.Timestamp(given.as_of) - pd.Timedelta(days=1)
    then = _copy(model)
    then.memory = Memory.of(payments_of(given), midnight)  # rings as they stood when the day began
    for number, id_ in enumerate(last["payment_id"]):
        row = table.loc[id_]
        time = row["event_timestamp"].value // 1000
        event = Event(time, round(row["amount"] * SCALE), *(row[name] for name in ENTITIES))
        one = judge_live(then, [(id_, event)], [row["method"]], [], reader.read_detailed, given.params)[0]
        assert one.score == told.loc[number, "score"]
        assert one.saved_by_review == told.loc[number, "saved_by_review"]
        reasons = [told.loc[number, f"reason_{place}"] for place in (1, 2, 3)]
        assert one.reasons == [reason for reason in reasons if reason]
        assert one.rules == [name for name in told.loc[number, "rules"].split(", ") if name]


def test_money_is_counted_as_written() -> None:
    costs = Costs(missed=1.0, fee=15.0, blocked=0.3, annoyance=10.0, review=3.0, caught=0.9)
    action = np.array(["allow", "review", "block", "allow", "review", "block"], object)
    fraud = np.array([True, True, True, False, False, False])
    found = saved(action, fraud, np.full(6, 100.0), costs)
    assert found.tolist() == pytest.approx([0, 0.9 * 115 - 3, 115, 0, -3, -40])


def test_the_queue_holds_what_saves_most_and_what_rules_hit() -> None:
    frame = pd.DataFrame({"payment_id": list("abcdef"), "day": ["1"] * 5 + ["2"]})
    told = pd.DataFrame(
        {
            "allow": [10.0, 30, 20, 1, 90, 5], "block": [50.0, 50, 50, 50, 2, 50], "review": [4.0, 4, 4, 4, 8, 4],
            "saved_by_review": [6.0, 26, 16, -3, -6, 1], "rules": ["", "", "", "own", "", ""],
        }
    )  # fmt: skip
    action, place = queued(told, frame, 2)
    assert action.tolist() == ["allow", "review", "allow", "review", "block", "review"]
    assert place.tolist() == [0, 1, 0, 2, 0, 1]


def test_sound_decisions_pass_and_spoiled_ones_do_not(model: Guard, decisions: pd.DataFrame, given: Inputs) -> None:
    assert [one.name for one in DOMAIN.check(model, decisions, given) if not one.passed] == []

    def failed(changed: pd.DataFrame, guard: Guard = model, inputs: Inputs = given) -> set[str]:
        return {one.name for one in DOMAIN.check(guard, changed, inputs) if not one.passed}

    assert failed(decisions.iloc[:0]) == {"nothing_decided", "payments_without_decision"}
    assert failed(decisions.iloc[1:]) >= {"payments_without_decision"}
    assert "payments_twice" in failed(pd.concat([decisions, decisions.tail(1)]))
    assert failed(decisions.assign(decision="ban")) >= {"unknown_decisions"}
    assert "scores" in failed(decisions.assign(score=1.5))
    assert "no_reason" in failed(decisions.assign(reason_1="", rules=""))
    assert "queue" in failed(decisions.assign(queue=decisions["queue"] * 2))
    assert failed(decisions.assign(decision="block", queue=0)) >= {"blocked"}
    idle = dataclasses.replace(given, params=dataclasses.replace(given.params, capacity=0))
    assert "queue" in failed(decisions, inputs=idle)
    wild = _copy(model)
    wild.calibration = 3.0
    assert failed(decisions, wild) == {"calibration"}
    twin = _copy(model)
    row = twin.waiting.iloc[[0]].assign(payment_id="twin")
    twin.waiting = pd.concat([twin.waiting, row], ignore_index=True)
    like = decisions[decisions["payment_id"] == twin.waiting["payment_id"].iloc[0]]
    both = pd.concat([decisions, like.assign(payment_id="twin", score=like["score"] + 0.1, decision="allow", queue=0)])
    assert failed(both, twin) == {"equals_apart"}


def test_a_group_that_is_blocked_more_is_noticed(model: Guard, decisions: pd.DataFrame, given: Inputs) -> None:
    people = pd.DataFrame({"user_id": decisions["user_id"].unique()})
    people["age_group"] = np.where(people.index % 2 == 0, "old", "young")
    tables = {**given.tables, "users": given.connection.from_df(people)}
    inputs = dataclasses.replace(
        given, tables=tables, params=dataclasses.replace(given.params, limits=RiskLimits(blocked=1.0))
    )
    fair = decisions.assign(queue=0, decision=np.where(decisions.index % 10 == 0, "block", "allow"))
    assert "groups_harmed" not in {one.name for one in DOMAIN.check(model, fair, inputs) if not one.passed}
    few = people.assign(age_group=np.where(people.index < 8, "few", "many"))
    harmed = decisions["user_id"].map(few.set_index("user_id")["age_group"]) == "few"
    unfair = decisions.assign(queue=0, decision=np.where(harmed, "block", "allow"))
    tables = {**given.tables, "users": given.connection.from_df(few)}
    failed = {
        one.name for one in DOMAIN.check(model, unfair, dataclasses.replace(inputs, tables=tables)) if not one.passed
    }
    assert "groups_harmed" in failed


def test_rules_are_read_against_the_features(given: Inputs, model: Guard, waiting: pd.DataFrame) -> None:
    wrong = dataclasses.replace(given.params, rules={"typo": "device_age_dayz < 1"})
    with pytest.raises(SettingsError, match="did you mean device_age_days"):
        DOMAIN.decide(model, waiting, wrong)
    own = dataclasses.replace(given.params, rules={"young": "user_device_payments <= 1", "any": "amount > 0"})
    told = judge(model, waiting, own)
    assert set(told["rules"]) <= {"any", "young, any"}
    with pytest.raises(FeatureError, match="card_verdicts__frauds"):
        DOMAIN.decide(model, waiting.drop(columns="card_verdicts__frauds"), given.params)


def test_evaluation_beats_its_baselines_and_draws(watched: Path) -> None:
    store = Store(watched)
    metrics = store.read_json("metrics/risk.json")
    assert metrics["model"]["saved"] > max(metrics[name]["saved"] for name in ("amount_first", "rules", "nothing"))
    assert metrics["nothing"]["saved"] == 0
    assert 0.5 < metrics["model"]["expected_to_known"] < 2
    plots = {path.stem for path in (watched / "metrics/risk").glob("*.csv")}
    assert plots == {"calibration", "kinds", "kinds_by_week", "rings", "rules", "weeks"}
    weeks = pd.read_csv(watched / "metrics/risk/weeks.csv")
    assert len(weeks) == 4
    assert weeks["saved_model"].sum() == pytest.approx(metrics["model"]["saved"])


def test_credit_is_judged_on_later_accounts(given: Inputs, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    count = 600
    people = given.tables["order_lines"].df()["user_id"].unique()
    amount = random.lognormal(4, 1, count)
    bad = random.random(count) < 1 / (1 + np.exp(3.5 - 0.02 * amount))
    opened = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.sort(random.uniform(0, 80, count)), unit="D")
    accounts = pd.DataFrame(
        {
            "account_id": [f"k{number:03d}" for number in range(count)],
            "user_id": people[random.integers(0, len(people), count)],
            "event_timestamp": opened, "amount": amount, "defaulted": bad,
            "label_timestamp": opened + pd.to_timedelta(np.where(bad, 3, 10), unit="D"),
        }
    )  # fmt: skip
    inputs = dataclasses.replace(given, tables={**given.tables, "credit": given.connection.from_df(accounts)})
    credit = Credit.fit(inputs, 1, 1)
    figures = credit.report.set_index("measure")["value"]
    assert figures["auc"] > 0.75
    assert 0.7 < figures["expected_to_known"] < 1.4
    assert figures["psi"] < 0.25
    credit.save(tmp_path)
    again = Credit.load(tmp_path)
    pd.testing.assert_frame_equal(again.report, credit.report)
    pd.testing.assert_frame_equal(again.card.card(), credit.card.card())
    assert Credit.fit(given, 1, 1) is None


def test_a_guard_knows_what_it_can_tell(model: Guard) -> None:
    assert model.mode == FRAUD
    assert model.memory is not None
    assert model.review_price >= 0


def _copy(model: Guard) -> Guard:
    twin = Guard.__new__(Guard)
    twin.__dict__.update(model.__dict__)
    return twin
