"""A shop whose truth is known, made or continued from the Prefect UI."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from ecomine import shops
from flows import notices
from flows.progress import tell
from flows.record import own_repository

Users = Annotated[int, Field(ge=1)]
Items = Annotated[int, Field(ge=8)]
Days = Annotated[int, Field(ge=1)]


@flow(name="simulate", **notices.TOLD)
def simulate(
    days: Days = 180, users: Users = 250, items: Items = 1200, shop: str = "simulated", workspace: str = "."
) -> None:
    """Simulate a shop up to a day, in a workspace of its own under `shops`; days that are there already stay.

    Args:
        days: days from the first; more than are there continue the shop.
        users: people who may ever open an account; only a new shop can have others.
        items: products that may ever be sold; only a new shop can have others.
        shop: name of the shop, which is that of its folder.
        workspace: folder that holds params.yaml, from which the shop's settings are taken.
    """
    home, say = Path(workspace).resolve(), tell()
    folder = shops.place(home, shop)
    shops.make(home, folder, "simulated")
    own_repository(folder)
    made = shops.simulate(folder, {"days": days, "users": users, "items": items}, say=say)
    say(f"{made.days:,} days of a shop are in {folder}; retrain there with workspace {folder}")
