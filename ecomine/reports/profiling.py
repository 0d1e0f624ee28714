"""The page of profiling."""

from ecomine.reports import parts
from ecomine.reports.material import Material
from ecomine.reports.page import Page


def page(material: Material) -> Page:
    """Segments, migration, values, cohorts, funnel, calibration."""
    sections = [parts.money_section(material, "profiling"), parts.gate_section(material, "profiling")]
    return Page("profiling", material.text("site.profiling"), "", "", sections)
