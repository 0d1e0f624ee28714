"""A question about several units, put to two versions while a canary is tried: each answers for its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Split:
    """How a question about several units is put to two versions, each for its own.

    units: by whom or what a canary's share is drawn, one an entry. part: places of entries → arguments for these alone.
    joined: answers as JSON, each with its places, that of the deployed version first → the answer to all.
    """

    units: Sequence[str]
    part: Callable[[list[int]], dict[str, Any]]
    joined: Callable[[list[tuple[list[int], Any]]], Any]

    @classmethod
    def of_results(cls, by: str, arguments: Mapping[str, Any]) -> "Split":
        """Of a question that names its units in `arguments[by]` and is answered by an entry each, in `results`."""
        units: list[str] = arguments[by]

        def joined(answers: list[tuple[list[int], Any]]) -> Any:
            found = {place: one for places, said in answers for place, one in zip(places, said["results"], strict=True)}
            return {"results": [found[place] for place in range(len(units))]}

        return cls(units, lambda places: {**arguments, by: [units[place] for place in places]}, joined)

    @classmethod
    def of_items(cls, name: str, asked: Mapping[str, Any]) -> "Split":
        """Of a question that holds `items` under one name, answered by `items` in that order and what is `unknown`.

        An item may be asked for several places, and have several answers where it is asked for all of them.
        """
        items: list[dict[str, Any]] = asked["items"]

        def part(places: list[int]) -> dict[str, Any]:
            return {name: {**asked, "items": [items[place] for place in places]}}

        def joined(answers: list[tuple[list[int], Any]]) -> Any:
            (_, first), (own, other) = answers
            side = dict.fromkeys(own, other)
            told = [row for place, item in enumerate(items) for row in _of_item(side.get(place, first)["items"], item)]
            tried = {row["item_id"]: other["model"] for row in other["items"]}
            return {**first, "unknown": first["unknown"] | other["unknown"], "models": tried, "items": told}

        return cls([item["item_id"] for item in items], part, joined)


def _of_item(rows: list[dict[str, Any]], item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is answered for an item that was asked for, at its place or at all of them."""
    place = item.get("location_id")
    return [row for row in rows if row["item_id"] == item["item_id"] and place in (None, row.get("location_id"))]
