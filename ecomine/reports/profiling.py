"""The page of profiling: what kinds of customers there are, where they go, what they will bring, whom to contact."""

import pandas as pd

from ecomine.reports import charts, parts
from ecomine.reports.charts import alt, x, y
from ecomine.reports.material import Material
from ecomine.reports.page import Chart, Column, Figure, Page, Part, Section, Table

NAME = "profiling"
HUES = [f"var(--hue-{place})" for place in (6, 1, 5, 8)]
"""Colours of the stages."""

STAGES = ("new", "active", "at risk", "lost")
STEPS = ("session", "view", "cart", "purchase")
CONTACTS = 40
"""Customers on the list of whom to contact first."""

BINS = 30


def page(material: Material) -> Page:
    """Segments, migration, values, cohorts, funnel, calibration, whom to contact and why."""
    text = material.text
    outcomes = {name: text(f"profiling.outcome.{name}") for name in ("value", "churn", "buy")}
    sections = [
        _segments(material), _migration(material), _values(material), _cohorts(material), _funnel(material),
        _contacts(material), _calibration(material), parts.money_section(material, NAME),
        *parts.explanation_section(material, NAME, outcomes, people=True), _behaviour(material),
        parts.gate_section(material, NAME),
    ]  # fmt: skip
    title, question = text("site.profiling"), text("profiling.question")
    return Page(NAME, title, question, _answer(material), sections, parts.notices(material, NAME))


def _answer(material: Material) -> str:
    told = material.decided(
        NAME,
        """SELECT count(*) AS customers, count(DISTINCT segment) AS segments, sum(value) AS value,
            avg(CAST(stage IN ('at risk', 'lost') AS INTEGER)) AS leaving,
            count(*) FILTER (contact) AS contacts FROM decisions""",
    )
    if told.empty:
        return material.text("site.nothing_deployed")
    one, days = told.iloc[0], material.context.params.sections[NAME].horizon_days
    return material.text(
        "profiling.answer", customers=int(one.customers), segments=int(one.segments), value=float(one.value), days=days,
        leaving=float(one.leaving), contacts=int(one.contacts),
    )  # fmt: skip


def _segments(material: Material) -> Section:
    text, column, frame = material.text, material.column, material.plot(NAME, "segments")
    if frame.empty:
        return Section(text("profiling.segments"))
    columns = {
        "segment": column("profiling.segment", "english"),
        "customers": column("profiling.customers", "count"),
        "share": column("profiling.share", "share"),
        "money": column("profiling.spent", "money"),
        "gap_days": column("profiling.gap", "ratio"),
        "basket_value": column("profiling.basket", "money"),
        "discount_share": column("profiling.discount", "share"),
    }
    base = alt.Chart(frame).encode(
        x=x("gap_days", text("profiling.gap"), "ratio", scale=alt.Scale(zero=False, padding=40)),
        y=y("basket_value", text("profiling.basket"), "money", scale=alt.Scale(zero=False, padding=40)),
        tooltip=charts.told(columns),
    )
    size = alt.Size("customers:Q", title=text("profiling.customers"), scale=alt.Scale(range=[200, 2600]), legend=None)
    circles = base.mark_circle(opacity=0.75).encode(
        size=size, color=alt.Color("segment:N", title=text("profiling.segment"))
    )
    most = frame.sort_values("customers", ascending=False, kind="stable").iloc[0]
    described = text("profiling.segments_described", n=len(frame), segment=most["segment"], share=most["share"])
    drawn: list[Part] = [
        Chart("segments", text("profiling.map"), described, alt.layer(circles), frame, columns),
        *_stages(material),
    ]
    return Section(text("profiling.segments"), text("profiling.segments_text"), drawn)


def _stages(material: Material) -> list[Part]:
    text, column = material.text, material.column
    frame = material.decided(
        NAME,
        """SELECT segment, stage, count(*) AS customers, count(*) / sum(count(*)) OVER (PARTITION BY segment) AS share
        FROM decisions GROUP BY segment, stage ORDER BY segment, stage""",
    )
    if frame.empty:
        return []
    frame = frame.assign(stage=pd.Categorical(frame["stage"], STAGES)).sort_values(["segment", "stage"])
    frame = frame.assign(stage=[text(f"profiling.stage.{name}") for name in frame["stage"]])
    order = [text(f"profiling.stage.{name}") for name in STAGES]
    columns = {
        "segment": column("profiling.segment", "english"), "stage": column("profiling.stage"),
        "customers": column("profiling.customers", "count"), "share": column("profiling.share", "share"),
    }  # fmt: skip
    drawn = (
        alt.Chart(frame, height=max(40 * frame["segment"].nunique(), 90))
        .mark_bar()
        .encode(
            y=alt.Y("segment:N", title=None, axis=alt.Axis(labelLimit=220)),
            x=alt.X("share:Q", title=text("profiling.share"), stack="zero", axis=alt.Axis(format=".0%")),
            color=alt.Color("stage:N", title=text("profiling.stage"), scale=alt.Scale(domain=order, range=HUES)),
            order=alt.Order("place:Q"),
            tooltip=charts.told(columns),
        )
    )  # fmt: skip
    drawn = drawn.properties(
        data=alt.Data(values=frame.assign(place=frame["stage"].map(order.index)).to_dict("records"))
    )
    whole = frame.groupby("stage")["customers"].sum()
    described = "; ".join(f"{name} {whole.get(name, 0):,}" for name in order)
    return [Chart("stages", text("profiling.stages"), described, drawn, frame, columns)]


def _migration(material: Material) -> Section:
    text, column, frame = material.text, material.column, material.plot(NAME, "migration")
    if frame.empty:
        return Section(text("profiling.migration"))
    columns = {
        "before": column("profiling.before", "english"), "after": column("profiling.after", "english"),
        "customers": column("profiling.customers", "count"), "share": column("profiling.of_before", "share"),
    }  # fmt: skip
    stayed = frame.loc[frame["before"] == frame["after"], "customers"].sum() / frame["customers"].sum()
    drawn = charts.heat(
        frame,
        "after",
        text("profiling.after"),
        "before",
        text("profiling.before"),
        "share",
        text("profiling.of_before"),
    )
    described = text("profiling.migration_described", stayed=float(stayed))
    return Section(
        text("profiling.migration"), text("profiling.migration_text"),
        [Chart("migration", text("profiling.migration_chart"), described, drawn, frame, columns)],
    )  # fmt: skip


def _values(material: Material) -> Section:
    text, column = material.text, material.column
    title, about = text("profiling.values"), text("profiling.values_text")
    # The last bin holds the rest, so that a few great customers do not press the others into one bar.
    frame = material.decided(
        NAME,
        f"""WITH most AS (SELECT greatest(quantile_disc(value, 0.99), 1e-9) AS top FROM decisions),
        binned AS (SELECT least(CAST(floor(value / top * {BINS}) AS INTEGER), {BINS - 1}) AS bin, top, value
            FROM decisions, most)
        SELECT bin, any_value(top) * bin / {BINS} AS low, any_value(top) * (bin + 1) / {BINS} AS high,
            count(*) AS customers FROM binned GROUP BY bin ORDER BY bin""",
    )
    tenths = material.decided(
        NAME,
        """WITH ranked AS (SELECT value, ntile(10) OVER (ORDER BY value DESC, user_id) AS tenth FROM decisions)
        SELECT CAST(tenth AS INTEGER) AS tenth, count(*) AS customers,
            CAST(sum(CAST(value AS DECIMAL(18, 4))) AS DOUBLE) AS value,
            CAST(sum(CAST(value AS DECIMAL(18, 4))) AS DOUBLE)
                / greatest(sum(CAST(sum(CAST(value AS DECIMAL(18, 4))) AS DOUBLE)) OVER (), 1e-9) AS share
        FROM ranked GROUP BY tenth ORDER BY tenth""",
    )
    if frame.empty or tenths.empty:
        return Section(title)
    days = material.context.params.sections[NAME].horizon_days
    money = text("profiling.value_axis", days=days)
    columns = {
        "low": column("profiling.from", "money"), "high": column("profiling.to", "money"),
        "customers": column("profiling.customers", "count"),
    }  # fmt: skip
    drawn = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title=money, axis=alt.Axis(format=",.0f", tickCount=6)), x2="high:Q",
            y=y("customers", text("profiling.customers"), "count"),
            tooltip=charts.told(columns),
        )
    )  # fmt: skip
    best = float(tenths["share"].iloc[0])
    said = {
        "tenth": column("profiling.tenth", "count"), "customers": column("profiling.customers", "count"),
        "value": Column(money, "money"), "share": column("profiling.share_of_money", "share"),
    }  # fmt: skip
    shares = (
        alt.Chart(tenths)
        .mark_bar()
        .encode(
            x=alt.X("tenth:O", title=text("profiling.tenth"), axis=alt.Axis(labelAngle=0)),
            y=y("share", text("profiling.share_of_money"), "share"),
            tooltip=charts.told(said),
        )
    )
    described = text("profiling.tenths_described", share=best)
    bought = text(
        "profiling.histogram_described", customers=int(frame["customers"].iloc[0]), money=float(frame["high"].iloc[0])
    )
    return Section(
        title,
        about,
        [
            parts.metric(
                material, NAME, "model", "money_in_best_tenth", text("profiling.money_in_best_tenth"), "share"
            ),
            parts.metric(material, NAME, "model", "predicted_total", text("profiling.predicted_total"), "share"),
            parts.metric(material, NAME, "lifetime", "interval_holds", text("profiling.interval_holds"), "share"),
            Chart("values", text("profiling.histogram"), bought, drawn, frame, columns),
            Chart("tenths", text("profiling.tenths"), described, shares, tenths, said),
        ],
    )


def _cohorts(material: Material) -> Section:
    text, column, frame = material.text, material.column, material.plot(NAME, "retention")
    drawn: list[Part] = []
    if not frame.empty:
        frame = frame[frame["cohort"].isin(sorted(frame["cohort"].unique())[-15:]) & (frame["month"] <= 14)]
        columns = {
            "cohort": column("profiling.cohort"), "month": column("profiling.month", "count"),
            "customers": column("profiling.customers", "count"), "active": column("profiling.active", "count"),
            "retained": column("profiling.retained", "share"), "money": column("profiling.spent", "money"),
        }  # fmt: skip
        field = charts.heat(
            frame, "month", text("profiling.month"), "cohort", text("profiling.cohort"), "retained",
            text("profiling.retained"), kind="O",
        )  # fmt: skip
        first = frame[frame["month"] == 1]
        kept = float(first["active"].sum() / max(first["customers"].sum(), 1)) if len(first) else float("nan")
        described = text("profiling.cohorts_described", kept=kept)
        drawn.append(Chart("cohorts", text("profiling.cohorts_chart"), described, field, frame, columns))
    again = material.plot(NAME, "repeat_purchase")
    if not again.empty:
        columns = {
            "number": column("profiling.order_number", "count"),
            "customers": column("profiling.customers", "count"), "again": column("profiling.again", "share"),
            "days_until": column("profiling.days_until", "ratio"),
        }  # fmt: skip
        base = alt.Chart(again).encode(
            x=x("number", text("profiling.order_number"), "count"),
            y=y("again", text("profiling.again"), "share", scale=alt.Scale(zero=False)),
            tooltip=charts.told(columns),
        )
        described = text(
            "profiling.again_described", first=float(again["again"].iloc[0]), days=float(again["days_until"].iloc[0])
        )
        line = alt.layer(base.mark_line(), base.mark_point(size=40))
        drawn.append(Chart("again", text("profiling.again_chart"), described, line, again, columns))
    return Section(text("profiling.cohorts"), text("profiling.cohorts_text"), drawn)


def _funnel(material: Material) -> Section:
    text, column, frame = material.text, material.column, material.plot(NAME, "funnel")
    if frame.empty:
        return Section(text("profiling.funnel"), text("profiling.no_events"))
    named = frame.assign(step=[text(f"profiling.step.{name}") for name in frame["step"]])
    order = [text(f"profiling.step.{name}") for name in STEPS]
    columns = {
        "value": column("profiling.group", "english"), "step": column("profiling.step"),
        "sessions": column("profiling.sessions", "count"), "reached": column("profiling.reached", "share"),
        "dropped": column("profiling.dropped", "share"),
    }  # fmt: skip
    told = charts.told(columns)
    everybody = named[named["group"] == "all"]
    whole = charts.bars(
        everybody, "step", text("profiling.step"), x("reached", text("profiling.reached"), "share"), told
    )
    bought = float(everybody["reached"].iloc[-1])
    shown: list[Part] = [
        Chart(
            "funnel",
            text("profiling.funnel_chart"),
            text("profiling.funnel_described", bought=bought),
            whole,
            everybody,
            columns,
        )
    ]
    kinds = named[named["group"] == "segment"]
    if len(kinds):
        lines = charts.lines(
            kinds, alt.X("step:N", title=text("profiling.step"), sort=order, axis=alt.Axis(labelAngle=0)),
            y("reached", text("profiling.reached"), "share"), "value", text("profiling.segment"),
        )  # fmt: skip
        described = text("profiling.funnel_kinds_described", n=kinds["value"].nunique())
        shown.append(Chart("funnel-kinds", text("profiling.funnel_kinds"), described, lines, kinds, columns))
    return Section(text("profiling.funnel"), text("profiling.funnel_text"), shown)


def _contacts(material: Material) -> Section:
    text, column = material.text, material.column
    frame = material.decided(
        NAME,
        f"""SELECT user_id, segment, stage, value, value_low, value_high, churn, buy, next_purchase, category,
            contact_gain, value_reason FROM decisions WHERE contact
        ORDER BY contact_gain DESC, user_id LIMIT {CONTACTS}""",
    )
    if frame.empty:
        return Section(text("profiling.contacts"), text("profiling.no_contacts"))
    frame = frame.assign(
        user_id=[material.pseudonym(user) for user in frame["user_id"]],
        stage=[text(f"profiling.stage.{name}") for name in frame["stage"]],
    )
    columns = {
        "user_id": column("profiling.customer"), "segment": column("profiling.segment", "english"),
        "stage": column("profiling.stage"), "value": column("profiling.value", "money"),
        "value_low": column("site.low", "money"), "value_high": column("site.high", "money"),
        "buy": column("profiling.outcome.buy", "share"), "churn": column("profiling.outcome.churn", "share"),
        "next_purchase": column("profiling.next_purchase"), "category": column("profiling.category", "english"),
        "contact_gain": column("profiling.contact_gain", "money"),
        "value_reason": column("site.because", "english"),
    }  # fmt: skip
    table = Table("contacts", text("profiling.contacts"), frame, columns)
    return Section(text("profiling.contacts"), text("profiling.contacts_text"), [table])


def _calibration(material: Material) -> Section:
    text, column, drawn = material.text, material.column, []
    for name, form in (("buy", "share"), ("churn", "share"), ("value", "money")):
        frame = material.plot(NAME, f"calibration_{name}")
        if frame.empty:
            continue
        called = text(f"profiling.outcome.{name}")
        columns = {
            "score": column("profiling.predicted", form), "label": column("profiling.came", form),
            "rows": column("profiling.customers", "count"),
        }  # fmt: skip
        off = float(((frame["score"] - frame["label"]).abs() * frame["rows"]).sum() / frame["rows"].sum())
        shown = f"{off:.1%}" if form == "share" else f"{off:,.2f}"
        described = text("profiling.calibration_described", outcome=called, off=shown)
        line = charts.calibration(
            frame, text("profiling.predicted"), text("profiling.came"), form, text("profiling.customers")
        )
        title = text("profiling.calibration_chart", outcome=called)
        drawn.append(Chart(f"calibration-{name}", title, described, line, frame, columns))
    names = {
        "rank_correlation": "figure", "mean_absolute_error": "money", "predicted_total": "share",
        "money_in_best_tenth": "share", "buy_auc": "figure", "buy_brier": "figure", "buy_calibration_error": "figure",
        "churn_auc": "figure", "churn_brier": "figure", "churn_calibration_error": "figure", "interval_holds": "share",
    }  # fmt: skip
    shown_as = {name: column(f"profiling.metric.{name}", form) for name, form in names.items()}
    table = parts.metrics_table(material, NAME, text("site.baselines"), shown_as)
    return Section(text("profiling.calibration"), text("profiling.calibration_text"), [*drawn, table])


def _behaviour(material: Material) -> Section:
    """What is bought together, and how promotions and weekdays work, as tables."""
    text, column, shown = material.text, material.column, []
    baskets = material.plot(NAME, "baskets")
    if not baskets.empty:
        columns = {
            "category": column("profiling.category", "english"),
            "goes_with": column("profiling.goes_with", "english"), "orders": column("profiling.orders", "count"),
            "confidence": column("profiling.confidence", "share"), "lift": column("profiling.lift", "ratio"),
        }  # fmt: skip
        shown.append(Table("baskets", text("profiling.baskets"), baskets, columns))
    weekdays = material.plot(NAME, "weekdays")
    if not weekdays.empty:
        named = weekdays.assign(weekday=[text(f"profiling.weekday.{int(day)}") for day in weekdays["weekday"]])
        columns = {
            "weekday": column("profiling.weekday"), "orders": column("profiling.orders_a_day", "ratio"),
            "money": column("profiling.money_a_day", "money"),
            "times_usual": column("profiling.times_usual", "ratio"),
        }  # fmt: skip
        shown.append(Table("weekdays", text("profiling.weekdays"), named, columns))
    figures: list[Part] = [
        Figure(text("profiling.failed"), float(frame["failed"].sum() / frame["searches"].sum()), "", "share")
        for frame in [material.plot(NAME, "failed_searches")]
        if not frame.empty
    ]
    return Section(text("profiling.behaviour"), text("profiling.behaviour_text"), [*figures, *shown])
