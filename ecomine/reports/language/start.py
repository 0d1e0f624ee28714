"""Texts of the page `start`."""

EN: dict[str, str] = {}

ZH: dict[str, str] = {}
