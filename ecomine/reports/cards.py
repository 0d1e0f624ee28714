"""Model card and data sheet of each deployed model."""

from collections.abc import Callable
from functools import partial

from ecomine.reports.material import Material
from ecomine.reports.page import Page


def name(domain: str) -> str:
    """The name of a domain's card."""
    return f"{domain}.card"


def of(domain: str) -> Callable[[Material], Page]:
    """How a domain's card is made."""
    return partial(page, domain)


def page(domain: str, material: Material) -> Page:
    """The card of what is deployed of a domain."""
    title = material.text("site.card_of")
    return Page(name(domain), title, material.text(f"site.{domain}"), "", [])
