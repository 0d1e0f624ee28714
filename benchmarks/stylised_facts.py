"""Does the simulated shop look like a real one? Six facts of shopping, side by side with The Complete Journey.

Protocol: a clean simulated shop of 700 people and 3,000 products over a year, default settings otherwise, against the
retailer's year 2017 of 2,469 households. Both are read as canonical order lines. Each fact is a curve; the pictures
next to the simulator's README show both. The figure a fact is the area between the two curves (or the greatest
distance between cumulative shares), then a few quantiles beside each other. `--write` renews the pictures.
"""

import argparse
import tempfile
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.report import Row, report
from ecomine.params import Params, SimulationParams
from ecomine.simulation import simulate
from ecomine.sources import complete_journey, simulated

PICTURES = Path(__file__).parents[1] / "ecomine/simulation/pictures"
COLOURS = ("#1f6fb4", "#c2571a")
NAMES = ("The Complete Journey", "simulated")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Curve = tuple[np.ndarray, np.ndarray]


def facts(lines: duckdb.DuckDBPyRelation, zone: str) -> dict[str, np.ndarray]:
    """What the facts rest on: lines an order, share of repeats a user, lines an item, gaps, orders by weekday …"""
    connection = duckdb.connect()
    connection.register("given", lines.to_arrow_table())
    local = f"timezone('{zone}', timezone('UTC', event_timestamp))"
    connection.execute(f"CREATE TABLE lines AS SELECT *, CAST({local} AS DATE) AS day FROM given")

    def ask(query: str) -> np.ndarray:
        return np.array(connection.sql(query).fetchall(), float)

    gaps = (
        "SELECT day - lag(day) OVER (PARTITION BY {0} ORDER BY day) AS gap FROM (SELECT DISTINCT {0}, day FROM lines)"
    )
    return {
        "basket": ask("SELECT count(*) FROM lines GROUP BY order_id")[:, 0],
        "repeat": ask(
            "SELECT 1 - count(DISTINCT item_id) / count(*) FROM lines GROUP BY user_id HAVING count(*) >= 20"
        )[:, 0],
        "popularity": ask("SELECT count(*) FROM lines GROUP BY item_id")[:, 0],
        "visit gap": ask(f"SELECT * FROM ({gaps.format('user_id')}) WHERE gap IS NOT NULL")[:, 0],
        "item gap": ask(f"SELECT * FROM ({gaps.format('user_id, item_id')}) WHERE gap IS NOT NULL")[:, 0],
        "weekday": ask("SELECT count(DISTINCT order_id) FROM lines GROUP BY isodow(day) ORDER BY isodow(day)")[:, 0],
        "promotion": ask(
            """SELECT sum(CASE WHEN discount > 0 THEN quantity * unit_price ELSE 0 END) / sum(quantity * unit_price)
            FROM lines GROUP BY date_trunc('week', day) HAVING count(*) > 50 ORDER BY date_trunc('week', day)"""
        )[:, 0],
    }


def spread(values: np.ndarray) -> Curve:
    """Values by the share of cases that do not exceed them."""
    x = np.unique(values)
    return x, np.searchsorted(np.sort(values), x, side="right") / len(values)


def concentration(counts: np.ndarray) -> Curve:
    """Share of all lines by share of items, bestsellers first."""
    ordered = np.sort(counts)[::-1]
    return np.arange(1, len(ordered) + 1) / len(ordered), np.cumsum(ordered) / ordered.sum()


def distance(one: Curve, other: Curve) -> float:
    """Greatest vertical distance of two curves, as steps."""
    x = np.union1d(one[0], other[0])
    heights = [np.append(0.0, y)[np.searchsorted(at, x, side="right")] for at, y in (one, other)]
    return float(np.abs(heights[0] - heights[1]).max())


def main() -> None:
    """Simulate, compare, and draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    parser.add_argument("--write", action="store_true", help="renew the pictures of the simulator's README")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        params = SimulationParams(users=700, items=3000, days=364, dirt=0.0)
        simulate(params, Path(folder) / "data/raw", Path(folder) / "truth")
        ours = _lines(simulated.read(duckdb.connect(), Params(source="simulated"), Path(folder)))
        theirs = _lines(complete_journey.read(duckdb.connect(), Params(), Path(folder)))
        real, made = facts(theirs, "America/New_York"), facts(ours, "UTC")
    curves = {
        "basket": ("Lines in an order", "share of orders with at most so many", spread, True),
        "repeat": ("Share of a customer's lines that repeat an earlier item", "share of customers", spread, False),
        "popularity": ("Share of items, bestsellers first", "share of lines", concentration, False),
        "visit gap": ("Days between shopping days of a customer", "share of gaps of at most so many", spread, True),
        "item gap": ("Days until the same item is bought again", "share of gaps of at most so many", spread, True),
        "promotion": ("Share of a week's sales on promotion", "share of weeks", spread, False),
    }
    rows = []
    for name, (across, up, make, log) in curves.items():
        both = [make(values[name]) for values in (real, made)]
        rows.append(Row(f"{name}: greatest distance of the curves", distance(*both)))
        for share in (0.25, 0.5, 0.9) if make is spread else ():
            rows.append(
                Row(f"{name}: {share:.0%} quantile", *(float(np.quantile(v[name], share)) for v in (made, real)))
            )
        if options.write:
            _write(name, picture(both, across, up, log))
    for share in (0.01, 0.1, 0.5):
        top = [float(np.interp(share, *concentration(values["popularity"]))) for values in (made, real)]
        rows.append(Row(f"popularity: share of the top {share:.0%} of items", *top))
    week = [values["weekday"] / values["weekday"].mean() for values in (real, made)]
    rows += [
        Row(f"weekday: {day}, orders against the mean", one, two)
        for day, one, two in zip(WEEKDAYS, week[1], week[0], strict=True)
    ]
    if options.write:
        days = np.arange(1, 8)
        _write(
            "weekday", picture([(days, shares) for shares in week], "Day of the week", "orders / mean", False, WEEKDAYS)
        )
    report("stylised_facts", "simulated (value) against The Complete Journey (reference)", rows)


def _lines(tables) -> duckdb.DuckDBPyRelation:  # type: ignore[no-untyped-def]
    """The order lines of a source, in memory."""
    for name, relation in tables:
        if name == "order_lines":
            kept = relation.to_arrow_table()
            return duckdb.connect().from_arrow(kept)
    raise ValueError("the source has no order lines")


def _write(name: str, text: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name.replace(' ', '_')}.svg").write_text(text)


def picture(curves: list[Curve], across: str, up: str, log: bool, labels: tuple[str, ...] = ()) -> str:
    """Two curves as an SVG of 460 × 300; `log` for the axis across, `labels` for its ticks at 1, 2 …"""
    left, top, width, height = 52, 34, 390, 210
    xs = np.concatenate([x for x, _ in curves])
    ys = np.concatenate([y for _, y in curves])
    low, high = (max(xs.min(), 1), np.quantile(xs, 0.995)) if log else (min(xs.min(), 1 if labels else 0), xs.max())
    floor, ceiling = (0.0, 1.0) if ys.max() <= 1 else (0.8, 1.3)
    scale = np.log if log else np.asarray

    def place(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = (scale(np.clip(x, low, high)) - scale(low)) / (scale(high) - scale(low))
        return left + width * share, top + height * (1 - (y - floor) / (ceiling - floor))

    if labels:
        ticks = list(zip(range(1, len(labels) + 1), labels, strict=True))
    elif log:
        ticks = [(t, str(t)) for t in (1, 2, 5, 10, 20, 50, 100, 200, 365) if low <= t <= high]
    else:
        ticks = [(t, f"{t:.1f}") for t in np.linspace(0, 1, 6) if low <= t <= high]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 300" font-family="sans-serif" font-size="11">',
        '<rect width="460" height="300" fill="white"/>',
    ]
    for value, label in ticks:
        x, _ = place(np.array(float(value)), np.array(floor))
        parts.append(f'<path d="M{x:.1f} {top}V{top + height}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x:.1f}" y="{top + height + 15}" text-anchor="middle">{label}</text>')
    for value in np.linspace(floor, ceiling, 6):
        _, y = place(np.array(low), np.array(value))
        parts.append(f'<path d="M{left} {y:.1f}H{left + width}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for number, (x, y) in enumerate(curves):
        keep = np.unique(np.linspace(0, len(x) - 1, 250).astype(int))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(*place(np.asarray(x, float)[keep], y[keep]), strict=True))
        dash = ' stroke-dasharray="6 3"' if number else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" stroke-width="2"{dash}/>')
        parts.append(f'<path d="M{left + 175 * number} 14h24" stroke="{COLOURS[number]}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="{left + 30 + 175 * number}" y="18">{NAMES[number]}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">{across}</text>')
    parts.append(f'<text transform="translate(14 {top + height / 2}) rotate(-90)" text-anchor="middle">{up}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
