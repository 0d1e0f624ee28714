"""The page of recommendation."""

from ecomine.reports import parts
from ecomine.reports.material import Material
from ecomine.reports.page import Page


def page(material: Material) -> Page:
    """Metrics against baselines, coverage, examples of lists with reasons, what is bought together."""
    sections = [parts.money_section(material, "recommendation"), parts.gate_section(material, "recommendation")]
    return Page("recommendation", material.text("site.recommendation"), "", "", sections)
