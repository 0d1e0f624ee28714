"""The start page: the road that the data took, and the state of every domain."""

from ecomine.reports.material import Material
from ecomine.reports.page import Page


def page(material: Material) -> Page:
    """The overview of a workspace."""
    return Page("index", material.text("site.start"), material.text("site.lead"), "", [])
