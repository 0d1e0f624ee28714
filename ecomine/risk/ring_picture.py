"""Several cards on one device, drawn: which device paid with which cards, for how many customers."""

import html

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

FEWEST_CARDS = 3
SHARED = 2
"""Cards that two devices must have in common to be of one ring: a stolen card alone goes from hand to hand."""

MOST_CUSTOMERS = 20
"""A device of more customers is public: a library's, a shop's own."""

EDGES = ["ring", "device", "card", "customers", "payments"]
SIZE, RADIUS, INNER = 260, 100, 26
"""Of a ring's picture, in pixels."""


def ring_edges(payments: pd.DataFrame, rings: int = 10) -> pd.DataFrame:
    """The rings of most cards: devices that paid with FEWEST_CARDS cards or more, those with SHARED cards as one.

    payments: user_id, device_id, card_id. Columns EDGES: a row a device and card that paid together; devices and cards
    are numbered within their ring, since a picture must name nobody.
    """
    known = payments[payments["device_id"].notna() & payments["card_id"].notna()]
    both = known.groupby(["device_id", "card_id"], sort=True)["user_id"].agg(["nunique", "size"]).reset_index()
    device = known.groupby("device_id")["user_id"].nunique()
    cards = both.groupby("device_id")["card_id"].transform("size")
    both = both[(cards >= FEWEST_CARDS) & (both["device_id"].map(device) <= MOST_CUSTOMERS)]
    if both.empty:
        return pd.DataFrame({name: pd.Series(dtype=np.int64) for name in EDGES})
    one, other = pd.factorize(both["device_id"])[0], pd.factorize(both["card_id"])[0]
    paid = sparse.csr_matrix((np.ones(len(one)), (one, other)))
    label = csgraph.connected_components(paid @ paid.T >= SHARED, directed=False)[1][one]
    count = pd.Series(other).groupby(label).nunique()
    rank = pd.Series(np.arange(1, len(count) + 1), index=count.sort_values(ascending=False, kind="stable").index)
    edges = pd.DataFrame(
        {
            "ring": rank[label].to_numpy(), "device": one, "card": other, "customers": both["nunique"].to_numpy(),
            "payments": both["size"].to_numpy(),
        }
    )  # fmt: skip
    edges = edges[edges["ring"] <= rings].sort_values(["ring", "device", "card"], ignore_index=True)
    for name in ("device", "card"):
        edges[name] = edges.groupby("ring")[name].rank(method="dense").astype(np.int64)
    return edges[EDGES]


def ring_svg(edges: pd.DataFrame, across: int = 3) -> str:
    """The rings as one SVG picture: devices in the middle, cards around them, lines as thick as payments are many."""
    numbers = edges["ring"].unique().tolist()
    rows = -(-len(numbers) // across)
    width, height = SIZE * min(across, max(len(numbers), 1)), (SIZE + 24) * max(rows, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Several cards on one device</title>",
    ]
    if not numbers:
        parts.append('<text x="8" y="20">no device paid with three cards</text>')
    for place, number in enumerate(numbers):
        x, y = place % across * SIZE, place // across * (SIZE + 24)
        parts += _ring(edges[edges["ring"] == number], number, x + SIZE / 2, y + 20 + SIZE / 2)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ring(edges: pd.DataFrame, number: int, x: float, y: float) -> list[str]:
    """One ring around a point; a ring has few devices and cards."""
    devices, cards = int(edges["device"].max()), int(edges["card"].max())
    inner = _circle(devices, INNER if devices > 1 else 0, x, y)
    outer = _circle(cards, RADIUS, x, y)
    title = f"ring {number}: {cards} cards on {devices} {'device' if devices == 1 else 'devices'}"
    lines = [
        f'<line x1="{inner[device - 1][0]:.1f}" y1="{inner[device - 1][1]:.1f}" x2="{outer[card - 1][0]:.1f}" '
        f'y2="{outer[card - 1][1]:.1f}" stroke="#888" stroke-width="{min(1 + payments / 2, 6):.1f}"/>'
        for device, card, payments in edges[["device", "card", "payments"]].itertuples(index=False)
    ]
    dots = [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="9" fill="#b33" />' for a, b in inner]
    dots += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="6" fill="#36c" />' for a, b in outer]
    caption = f'<text x="{x:.1f}" y="{y - SIZE / 2 - 4:.1f}" text-anchor="middle">{html.escape(title)}</text>'
    return [*lines, *dots, caption]


def _circle(count: int, radius: float, x: float, y: float) -> list[tuple[float, float]]:
    angle = 2 * np.pi * np.arange(count) / max(count, 1)
    return list(zip(x + radius * np.cos(angle), y + radius * np.sin(angle), strict=True))
