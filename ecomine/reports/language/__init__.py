"""Every text of the pages, in each language: a module for each page, with a dict for each language.

A key is `<page>.<what>`; `site.*` is for all pages. A test holds the languages against each other.
"""

from collections.abc import Mapping

from ecomine.reports.language import ads, cards, inventory, pricing, profiling, recommendation, risk, shop, site, start

NAMES: Mapping[str, str] = {"en": "English", "zh": "中文"}
"""The languages, by their codes, with their own names."""

_MODULES = (site, start, profiling, recommendation, cards, shop, pricing, inventory, risk, ads)

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {key: text for module in _MODULES for key, text in module.EN.items()},
    "zh": {key: text for module in _MODULES for key, text in module.ZH.items()},
}
