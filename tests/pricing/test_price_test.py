"""Price tests find what was planted, as often as planned, through the user's door too."""

import numpy as np
import pandas as pd
import pytest

from ecomine.cli import main
from ecomine.errors import NotEnoughDataError
from ecomine.pricing import price_test


def sales(items: int, periods: int, seed: int, mean: float = 40.0, treated: set[int] | None = None) -> pd.DataFrame:
    """Poisson units of items of unlike size; `treated` ones sell at a tenth less from period 12 on, elasticity -2."""
    random = np.random.default_rng(seed)
    level = mean * np.exp(random.normal(0, 0.5, items))
    item, period = np.repeat(np.arange(items), periods), np.tile(np.arange(periods), items)
    changed = np.isin(item, list(treated or set())) & (period >= 12)
    price = np.where(changed, 9.0, 10.0)
    units = random.poisson(level[item] * (price / 10) ** -2)
    return pd.DataFrame({"item_id": item, "period": period, "price": price, "units": units})


def test_the_number_of_items_is_that_of_the_textbook() -> None:
    made, drawn = price_test.plan(sales(400, 12, 1), -0.1, 0.2)
    by_hand = 4 * (1.959964 + 0.841621) ** 2 * made.spread**2 / np.log(1.2) ** 2
    assert made.items == int(np.ceil(by_hand / 2) * 2) == len(drawn)
    assert (drawn.groupby("stratum")["arm"].nunique() == 2).all()
    assert drawn.loc[drawn["arm"] == "test", "test_price"].eq(9.0).all()


def test_power_level_and_interval_are_kept() -> None:
    found, false, covered, elasticity = [], [], [], []
    for seed in range(40):
        made, drawn = price_test.plan(sales(400, 12, seed), -0.1, 1 / 0.81 - 1, longest=2)
        test = set(drawn.loc[drawn["arm"] == "test", "item_id"])
        for treated, results in ((test, found), (None, false)):
            later = sales(400, 24, 1000 + seed, treated=treated)
            told = price_test.read(drawn, later, 12, made.periods).set_index("measure")
            results.append(told.loc["units", "p_value"] < 0.05)
            if treated:
                covered.append(told.loc["units", "low"] < 1 / 0.81 - 1 < told.loc["units", "high"])
                elasticity.append(told.loc["units", "elasticity"])
    assert np.mean(covered) > 0.85
    assert np.mean(elasticity) == pytest.approx(-2, abs=0.2)
    assert np.mean(found) > 0.65
    assert np.mean(false) < 0.15


def test_what_cannot_be_found_is_said() -> None:
    with pytest.raises(NotEnoughDataError, match="No test on 20 items"):
        price_test.plan(sales(20, 12, 5, mean=2.0), -0.1, 0.01)


def test_from_the_command_line(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    past, plan = tmp_path / "sales.csv", tmp_path / "plan.csv"
    sales(200, 12, 6).to_csv(past, index=False)
    assert main(["price-test", "plan", "--sales", str(past), "--plan", str(plan), "--effect", "0.2"]) == 0
    assert "find a change of units of +20.0%" in capsys.readouterr().out
    drawn = pd.read_csv(plan)
    sales(200, 24, 7, treated=set(drawn.loc[drawn["arm"] == "test", "item_id"])).to_parquet(tmp_path / "later.parquet")
    read = ["price-test", "read", "--sales", str(tmp_path / "later.parquet"), "--plan", str(plan)]
    assert main([*read, "--start", "12", "--periods", "4"]) == 0
    assert "elasticity -" in capsys.readouterr().out
    assert main(read) == 2
    assert "--start" in capsys.readouterr().err
    assert main(["price-test", "plan", "--sales", str(tmp_path / "none.csv")]) == 2
