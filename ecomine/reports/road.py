"""The road that the data took, drawn: a station for each step, with its count."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, GAP = 150, 92, 26

Station = tuple[str, str, str, str]
"""What is counted, the count, a second line or nothing, and the tone: plain, good or bad."""

TONES = {"plain": "var(--hue-1)", "good": "var(--good)", "bad": "var(--bad)"}


def drawn(stations: Sequence[Station], columns: int) -> str:
    """SVG of the stations, `columns` in a row, with arrows from each to the next."""
    rows = -(-len(stations) // columns)
    wide, tall = columns * WIDTH + (columns - 1) * GAP, rows * HEIGHT + (rows - 1) * GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" font-family="inherit">']
    for place, station in enumerate(stations):
        left, top = (place % columns) * (WIDTH + GAP), (place // columns) * (HEIGHT + GAP)
        parts.append(_station(left, top, station))
        if place + 1 < len(stations):
            parts.append(_arrow(left, top, wide, turns=(place + 1) % columns == 0))
    return "".join([*parts, "</svg>"])


def _station(left: int, top: int, station: Station) -> str:
    what, count, more, tone = station
    middle = left + WIDTH // 2
    box = f'<rect x="{left}" y="{top}" width="{WIDTH}"'
    lines = ((count, 40, "22", "650", "ink"), (what, 61, "13.5", "400", "ink"), (more, 79, "12.5", "400", "muted"))
    words = [
        f'<text x="{middle}" y="{top + down}" text-anchor="middle" font-size="{size}" font-weight="{weight}" '
        f'fill="var(--{colour})">{escape(text)}</text>'
        for text, down, size, weight, colour in lines
        if text
    ]
    return "".join(
        [
            f'{box} height="{HEIGHT}" rx="8" fill="var(--sheet)" stroke="var(--rule)"/>',
            f'{box} height="4" rx="2" fill="{TONES[tone]}"/>',
            *words,
        ]
    )


def _arrow(left: int, top: int, wide: int, turns: bool) -> str:
    """To the right, or, at the end of a row, back to the beginning of the next."""
    line = 'fill="none" stroke="var(--muted)" stroke-width="1.6"'
    if turns:
        start, y, end = left + WIDTH // 2, top + HEIGHT, WIDTH // 2
        between, tip = y + GAP // 2, y + GAP - 3
        path = f"M{start} {y + 3}V{between}H{end}V{tip}m-4 -5l4 5l4 -5"
    else:
        x, y = left + WIDTH + 4, top + HEIGHT // 2
        path = f"M{x} {y}h{GAP - 8}m-5 -4l5 4l-5 4"
    return f'<path d="{path}" {line}/>'
