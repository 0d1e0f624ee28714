"""The settings of demand forecasting, each once, with unit and default."""

from dataclasses import dataclass

from ecomine.params import setting


@dataclass(frozen=True)
class ForecastParams:
    """How demand to come is learnt from sales."""

    horizon: int = setting(28, "periods ahead that forecasts are trained for", at_least=1, at_most=366)
    period_days: int | None = setting(
        None, "days in a period: 1 or 7; null tells them from the dates", at_least=1, at_most=7
    )
    gaps: str = setting("zero", "a period without a row: zero (nothing was sold) or closed (nothing could be sold)")
    likelihood: str = setting(
        "auto",
        "how units scatter: log (errors in logs), counts, zero_inflated (counts with further zeros, where validation "
        "shows them), or auto, which takes log for large units, else zero_inflated",
    )
    method: str = setting(
        "auto", "direct (all distances from the origin), recursive (step by step), or auto: by distance, validated"
    )
    origins: int = setting(2, "moments of the past from which forecasts are validated", at_least=1, at_most=12)
    rows: int = setting(300_000, "most rows to learn from, drawn by seed", at_least=100)
    rounds: int = setting(400, "most trees; fewer where validation says so", at_least=1)
    learning_rate: float = setting(0.06, "step of XGBoost", at_least=0.0001, at_most=1)
    max_depth: int = setting(7, "depth of a tree", at_least=1, at_most=16)
    seeds: int = setting(1, "models that are averaged, each with a seed of its own", at_least=1, at_most=20)
    classics: list[str] = setting(
        ["seasonal_naive", "croston_sba", "tsb"],
        "methods that may take over a series where they win in validation; also theta and ets, which take long",
    )
    classics_series: int = setting(
        200, "most series, those that sell most, for which theta and ets are tried", at_least=0
    )
    identities: bool = setting(
        True,
        "whether items and places are told apart by number, so that what is peculiar to one can be learnt; without it "
        "series of the same history get the same forecast",
    )
    block: int = setting(2000, "series whose features are computed at a time; bounds memory", at_least=1)
