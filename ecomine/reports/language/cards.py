"""Texts of the page `cards`."""

EN: dict[str, str] = {}

ZH: dict[str, str] = {}
