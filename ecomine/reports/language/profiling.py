"""Texts of the page `profiling`."""

EN: dict[str, str] = {}

ZH: dict[str, str] = {}
