"""The domain on its own: what is learnt from which contacts, when uplift is claimed, and what a check notices."""

import dataclasses
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.ads import DOMAIN, AdsParams, Placement, placing, sanity
from ecomine.ads.fatigue import Fatigue
from ecomine.ads.features import NONE
from ecomine.ads.placing import Situation, lots
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.errors import NotEnoughDataError, SettingsError
from tests.shop import tiny_campaigns, tiny_shop

AS_OF = datetime(2024, 5, 30)
PARAMS = AdsParams()
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def shop() -> Tables:
    tables = tiny_shop()
    return tables | tiny_campaigns(tables)


def inputs(tables: Tables, params: AdsParams = PARAMS) -> Inputs:
    connection = duckdb.connect()
    relations = {name: connection.from_df(frame) for name, frame in tables.items()}
    return Inputs(connection, relations, AS_OF, params, 1, 1)


def with_features(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Orders so far of each person, known at the row's moment."""
    lines = tables["order_lines"].drop_duplicates("order_id")
    joined = rows[["user_id", EVENT_TIMESTAMP]].reset_index().merge(lines[["user_id", "event_timestamp"]], on="user_id")
    count = joined[joined["event_timestamp_y"] <= joined["event_timestamp_x"]].groupby("index").size()
    days = (rows[EVENT_TIMESTAMP] - pd.Timestamp("2023-12-31")).dt.days
    return rows.assign(user_snapshot__orders_90d=count.reindex(rows.index).fillna(0.0) / days * 90)


def fitted(tables: Tables, params: AdsParams = PARAMS) -> tuple[Inputs, Placement, pd.DataFrame]:
    given = inputs(tables, params)
    model = DOMAIN.fit(with_features(DOMAIN.label(given).train, tables), given)
    return given, model, DOMAIN.decide(model, with_features(DOMAIN.request(model, None), tables), params)


@pytest.fixture(scope="module")
def learnt(shop: Tables) -> tuple[Inputs, Placement, pd.DataFrame]:
    return fitted(shop)


def test_contacts_are_known_before_their_campaign_and_judged_by_later_ones(shop: Tables) -> None:
    rows = DOMAIN.label(inputs(shop))
    start = shop["campaigns"].set_index("campaign_id")["start_date"]
    for part in (rows.train, rows.test):
        assert (part[EVENT_TIMESTAMP] == part["campaign_id"].map(start)).all()
        assert (part["moment"] >= part[EVENT_TIMESTAMP]).all()
    end = shop["campaigns"].set_index("campaign_id")["end_date"]
    assert rows.train["campaign_id"].map(end).max() <= rows.test[EVENT_TIMESTAMP].min()
    assert rows.test["campaign_id"].map(end).max() <= pd.Timestamp(AS_OF)
    assert not {"treated", "money", "cost"} & set(rows.test.columns)
    # Margin: what the product costs is known, 0.6 of its list price.
    sold = rows.truth[rows.truth["money"] > 0].merge(shop["ad_impressions"][["impression_id", "revenue"]])
    assert (sold["money"] / sold["revenue"]).between(0.3, 0.45).all()
    assert "held back" in rows.notes[0]


def test_uplift_is_learnt_from_chance_and_refused_without_it(
    shop: Tables, learnt: tuple[Inputs, Placement, pd.DataFrame]
) -> None:
    _, model, decisions = learnt
    assert model.claims and set(decisions["method"]) == {"uplift"}
    # Ads bring those who order rarely; the others buy anyhow.
    lines = shop["order_lines"].groupby("user_id")["order_id"].nunique()
    rare = decisions["user_id"].map(lines) < lines.median()
    told = model.score(with_features(DOMAIN.request(model, None), shop))
    assert told["uplift"][rare.to_numpy()].mean() > 2 * told["uplift"][~rare.to_numpy()].mean()
    contacts = shop["ad_impressions"]
    for spoilt, why in (
        (contacts[contacts["treated"]].assign(propensity=np.nan), "held back"),
        # Those who buy are reached: not by chance, whatever the log says.
        (contacts.assign(treated=contacts["user_id"].map(lines) > lines.median()), "not drawn by chance"),
    ):
        _, other, table = fitted(shop | {"ad_impressions": spoilt})
        assert not other.claims and why in other.why
        assert set(table["method"]) == {"response"}
        best = table[(table["campaign_id"] != NONE) & ~table["reason"].str.contains("by chance, to learn")]
        assert best["reason"].str.contains("counted as if every response was the contact's doing").all()
    with pytest.raises(SettingsError, match="expected auto or response"):
        fitted(shop, dataclasses.replace(PARAMS, method="guess"))
    with pytest.raises(SettingsError, match="expected xgboost or linear"):
        fitted(shop, dataclasses.replace(PARAMS, model="guess"))


def test_the_linear_response_model_is_on_offer(shop: Tables) -> None:
    given, model, decisions = fitted(shop, dataclasses.replace(PARAMS, method="response", model="linear"))
    assert model.response.base == "hashed" and len(decisions) == 120
    rows = DOMAIN.label(given)
    result = DOMAIN.evaluate(model, with_features(rows.test, shop), rows.truth, given.params)
    assert list(result.values.columns) == ["user_id", "model", "frequency", "everyone"]
    assert set(result.plots["targeting"]["kind"]) == {"coupon", "display"}
    # Nothing of uplift is drawn where none is claimed.
    assert not {"qini", "off_policy"} & set(result.plots) and {"budget", "campaigns"} <= set(result.plots)
    check_explained(model, with_features(rows.test, shop))


def check_explained(model: Placement, frame: pd.DataFrame) -> None:
    """Contributions and a constant are the log odds; drivers and cases are in words."""
    told = DOMAIN.explain(model, frame, PARAMS)
    assert told.drivers["strength"].is_monotonic_decreasing and len(told.cases) == 10
    assert told.cases["because"].str.contains("raises it|lowers it").all()
    seen = model.seen(frame)
    chance = model.response.predict(seen)
    left = np.log(chance / (1 - chance)) - model.response.contributions(seen).sum(axis=1).to_numpy()
    assert np.ptp(left) < 1e-4


def test_the_worth_of_targeting_is_told_off_policy(
    shop: Tables, learnt: tuple[Inputs, Placement, pd.DataFrame]
) -> None:
    given, model, _ = learnt
    rows = DOMAIN.label(given)
    result = DOMAIN.evaluate(model, with_features(rows.test, shop), rows.truth, PARAMS)
    found = result.metrics
    assert found["model"]["value"] > max(found[name]["value"] for name in ("frequency", "everyone", "response"))
    assert found["model"]["value_low"] < found["model"]["value"] < found["model"]["value_high"]
    assert found["model"]["contacts"] == found["frequency"]["contacts"] == found["response"]["contacts"]
    assert found["everyone"]["contacts"] == pytest.approx(found["model"]["contacts"])
    curve = result.plots["qini"]
    reached = rows.truth["treated"] > 0
    effect = rows.truth.loc[reached, LABEL].mean() - rows.truth.loc[~reached, LABEL].mean()
    assert curve.groupby("method")["gained"].last().to_numpy() == pytest.approx(1000 * effect)
    assert {"model", "response", "frequency", "everyone", "nobody"} == set(result.plots["off_policy"]["method"])
    check_explained(model, with_features(rows.test, shop))
    # By the law each contact of the rare brings 0.4 of a sale's margin, each of the others 0.02, less 0.3.
    test = rows.test.merge(rows.truth, on=["impression_id", "user_id", "campaign_id"])
    lines = shop["order_lines"].groupby("user_id")["order_id"].nunique()
    rare = test["user_id"].map(lines) < lines.median()
    price = test["campaign_id"].map(model.campaigns.set_index("campaign_id")["value"])
    law = (np.where(rare, 0.4, 0.02) * price - 0.3).sum() / test["user_id"].nunique()
    assert found["all contacted"]["value"] == pytest.approx(law, rel=0.35)


def test_rules_are_kept_and_each_person_is_decided_on_alone(
    shop: Tables, learnt: tuple[Inputs, Placement, pd.DataFrame]
) -> None:
    given, model, decisions = learnt
    assert all(check.passed for check in DOMAIN.check(model, decisions, given))
    frame = with_features(DOMAIN.request(model, None), shop)
    picked = frame[frame["user_id"].isin(["u0007", "u0050"])].iloc[::-1].reset_index(drop=True)
    alone = DOMAIN.decide(model, picked, PARAMS)
    expected = decisions[decisions["user_id"].isin(["u0007", "u0050"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=True)
    never = dataclasses.replace(PARAMS, rules=dataclasses.replace(PARAMS.rules, per_campaign=0))
    assert set(DOMAIN.decide(model, frame, never)["campaign_id"]) == {NONE}
    dear = dataclasses.replace(PARAMS, rules=dataclasses.replace(PARAMS.rules, least_profit=1e6), exploration_share=0.0)
    assert set(DOMAIN.decide(model, frame, dear)["reason"]) <= {
        "not worth its cost", "contacted often enough this week", "contacted often enough by this campaign",
    }  # fmt: skip
    sure = DOMAIN.decide(model, frame, dataclasses.replace(PARAMS, exploration_share=0.0))
    assert (sure.loc[sure["campaign_id"] == NONE, "propensity"] == 1.0).all()
    assert not sure["reason"].str.contains("to learn from it").any()


def test_checks_notice_what_must_not_be(shop: Tables, learnt: tuple[Inputs, Placement, pd.DataFrame]) -> None:
    given, model, decisions = learnt
    reached = (decisions["campaign_id"] != NONE) & ~decisions["reason"].str.contains("by chance, to learn")

    def failed(changed: pd.DataFrame, at: Inputs = given, by: Placement = model) -> set[str]:
        return {check.name for check in DOMAIN.check(by, changed, at) if not check.passed}

    assert failed(decisions.iloc[1:]) == {"people_without_decision"}
    assert failed(pd.concat([decisions, decisions.head(1)])) == {"people_twice"}
    assert failed(decisions.assign(campaign_id=np.where(reached, "c00", NONE))) >= {"not_running"}
    assert failed(decisions.assign(propensity=0.0)) == {"propensities"}
    assert failed(decisions.assign(reason="")) == {"no_reason"}
    assert failed(decisions.assign(method="response")) == {"claims"}
    assert failed(decisions.assign(bid=0.0)) == {"bids"}
    loss = decisions.assign(expected_incremental_profit=-1.0)
    assert failed(loss) == {"not_worth_it", "groups_harmed"}
    users = shop["users"].assign(marketing_consent=False)
    assert "no_consent" in failed(decisions, inputs(shop | {"users": users}))
    strict = dataclasses.replace(PARAMS, rules=dataclasses.replace(PARAMS.rules, per_campaign=1))
    assert "too_often" in failed(decisions, inputs(shop, strict))
    broke = Placement()
    broke.__dict__ |= model.__dict__
    broke.campaigns = model.campaigns.assign(left=0.0)
    assert failed(decisions, by=broke) == {"over_budget"}
    wrong = Placement()
    wrong.__dict__ |= model.__dict__
    wrong.validated = {"calibration_error": 0.3, "calibration_noise": 0.02}
    assert failed(decisions, by=wrong) == {"calibration"}

    class Named(Placement):
        def score(self, frame: pd.DataFrame) -> pd.DataFrame:
            return super().score(frame).assign(uplift=lots(frame["user_id"].to_numpy(object), ""))

    named = Named()
    named.__dict__ |= model.__dict__
    assert "names_matter" in failed(decisions, by=named)

    class Perverse(Placement):
        def score(self, frame: pd.DataFrame) -> pd.DataFrame:
            return super().score(frame).assign(cost=-1.0)

    perverse = Perverse()
    perverse.__dict__ |= model.__dict__
    assert "dearer_pays_more" in failed(decisions, by=perverse)


def test_what_runs_out_is_not_advertised_and_the_flagged_get_no_offer(
    learnt: tuple[Inputs, Placement, pd.DataFrame],
) -> None:
    _, _, decisions = learnt
    reached = decisions[decisions["campaign_id"] != NONE]
    item, user = reached["item_id"].iloc[0], reached["user_id"].iloc[1]
    stock = pd.DataFrame(
        {"item_id": [item, item, "x"], "location_id": ["a", "b", "a"], "about_to_run_out": [True, False, False]}
    )
    for name, theirs, who, why in (
        ("inventory", stock, reached.loc[reached["item_id"] == item, "user_id"], "the item is about to run out"),
        ("risk", pd.DataFrame({"user_id": [user, "x"], "decision": ["review", "allow"]}), [user],
         "the account is flagged"),
    ):  # fmt: skip
        heed = DOMAIN.heeds[name]
        minded = heed.apply(decisions, heed.read(theirs)).set_index("user_id")
        assert list(minded.columns) == list(decisions.columns[1:])
        assert (minded.loc[who, "campaign_id"] == NONE).all() and (minded.loc[who, "bid"] == 0).all()
        assert set(minded.loc[who, "reason"]) == {why}
        rest = decisions.set_index("user_id").drop(who)
        pd.testing.assert_frame_equal(minded.drop(who), rest, check_exact=True)


def test_fatigue_is_taken_off_only_where_the_log_shows_it(shop: Tables) -> None:
    random = np.random.default_rng(2)
    days, users = 60, 400
    user, day = (axis.ravel() for axis in np.indices((users, days)))
    treated = (random.random(len(user)) < 0.5).astype(float)
    grid = treated.reshape(users, days)
    before = np.zeros_like(grid)
    for ago in (1, 2, 3, 4):
        before[:, ago:] += grid[:, :-ago]
    log = pd.DataFrame(
        {"user_id": user.astype(str), "moment": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D"),
         "treated": treated, "propensity": 0.5, "cost": 0.1}
    )  # fmt: skip
    tiring = np.clip(1.0 - 0.5 * before.ravel(), 0, 1) * treated + random.normal(0, 0.2, len(user))
    found = Fatigue.of(log.assign(money=tiring))
    assert "of the tired brings" in found.told
    assert found.later[0] > 0.2 and found.later.max() < 2.0
    steady = Fatigue.of(log.assign(money=treated + np.random.default_rng(9).normal(0, 0.2, len(user))))
    assert "no fatigue shows" in steady.told and not steady.later.any()
    assert "too few" in Fatigue.of(log.head(90).assign(money=1.0)).told
    restored = Fatigue.restore(found.state())
    assert restored.later.tolist() == found.later.tolist()
    contacts = pd.DataFrame({"user_id": ["a", "a", "b"], "event_timestamp": pd.to_datetime(
        ["2024-03-01 08:00", "2024-02-28 23:00", "2024-02-01 09:00"])})  # fmt: skip
    state = found.histories(np.array(["a", "b", "c"], object), contacts, datetime(2024, 3, 1, 12))
    assert state.tolist() == [0b11, 0, 0]


def test_fatigue_lowers_what_a_contact_is_worth(shop: Tables, learnt: tuple[Inputs, Placement, pd.DataFrame]) -> None:
    _, model, _ = learnt
    sure = dataclasses.replace(PARAMS, exploration_share=0.0)
    frame = with_features(DOMAIN.request(model, None), shop)
    tired = Placement()
    tired.__dict__ |= model.__dict__
    tired.fatigue = Fatigue(4, np.where(np.arange(16) > 0, 1e3, 0.25), "as told")
    before, after = (DOMAIN.decide(one, frame, sure).set_index("user_id") for one in (model, tired))
    still = after.index[(after["campaign_id"] != NONE) & (before["campaign_id"] != NONE)]
    lost = (before["expected_incremental_profit"] - after["expected_incremental_profit"])[still]
    assert len(still) and lost.to_numpy() == pytest.approx(0.25)
    contacts = model.contacts[model.contacts["event_timestamp"] > pd.Timestamp(AS_OF) - pd.Timedelta(days=3)]
    assert (after.loc[contacts["user_id"].unique(), "campaign_id"] == NONE).all()


def test_no_running_campaign_leaves_everybody_alone(shop: Tables) -> None:
    over = shop["campaigns"].assign(end_date=shop["campaigns"]["end_date"].clip(upper=pd.Timestamp("2024-05-29")))
    _, _, decisions = fitted(shop | {"campaigns": over}, dataclasses.replace(PARAMS, method="response"))
    assert set(decisions["campaign_id"]) == {NONE} and set(decisions["propensity"]) == {1.0}
    assert set(decisions["reason"]) == {"no campaign is running"}


def test_too_little_is_told(shop: Tables) -> None:
    with pytest.raises(NotEnoughDataError, match=r"change ads\.test_days"):
        DOMAIN.label(inputs(shop, dataclasses.replace(PARAMS, test_days=3000)))
    none = shop["ad_impressions"].assign(converted=False)
    with pytest.raises(NotEnoughDataError, match="with and without a purchase"):
        DOMAIN.label(inputs(shop | {"ad_impressions": none}))


def test_situations_move_in_time(shop: Tables, learnt: tuple[Inputs, Placement, pd.DataFrame]) -> None:
    _, model, decisions = learnt
    frame = with_features(DOMAIN.request(model, None), shop)
    later = placing.decide(model, frame, PARAMS, Situation(now=datetime(2024, 7, 1)))
    assert set(later["reason"]) == {"the campaign is not running"}
    assert sanity.over_budget(model, later[later["campaign_id"] != NONE]) == 0
    assert LABEL not in decisions
