import xml.etree.ElementTree as ET

import pandas as pd

from ecomine.risk.ring_picture import EDGES, ring_edges, ring_svg


def payments(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "device_id", "card_id"])


def test_several_cards_on_one_device_are_a_ring_and_a_household_is_none() -> None:
    ring = [(f"u{number % 2}", "d1", f"c{number}") for number in range(4)] + [("u0", "d1", "c0")]
    second = [("u5", "d2", "c0"), ("u5", "d2", "c1"), ("u6", "d2", "c9")]  # two cards in common: the same people
    household = [("h1", "home", "x1"), ("h2", "home", "x2"), ("h2", "office", "x2")]
    other = [("v", "d7", card) for card in ("c3", "y1", "y2")]  # one stolen card in common ties nobody
    edges = ring_edges(payments([*ring, *second, *household, *other]))
    assert edges.groupby("ring")[["device", "card"]].max().to_numpy().tolist() == [[2, 5], [1, 3]]
    first = edges[(edges["ring"] == 1) & (edges["device"] == 1) & (edges["card"] == 1)]
    assert first[["customers", "payments"]].to_numpy().tolist() == [[1, 2]]


def test_a_public_device_is_no_ring_and_nothing_is_no_row() -> None:
    library = payments([(f"u{number}", "library", f"c{number}") for number in range(30)])
    edges = ring_edges(library)
    assert list(edges) == EDGES and edges.empty
    assert "no device paid with three cards" in ring_svg(edges)


def test_the_picture_is_sound_and_names_nobody() -> None:
    edges = ring_edges(payments([("secret", "d-secret", f"c-secret{number}") for number in range(5)]))
    picture = ring_svg(edges)
    root = ET.fromstring(picture)
    assert len(root.findall("{http://www.w3.org/2000/svg}line")) == 5
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 6
    assert "secret" not in picture
    assert "ring 1: 5 cards on 1 device" in picture
