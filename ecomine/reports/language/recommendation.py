"""Texts of the page `recommendation`."""

EN: dict[str, str] = {}

ZH: dict[str, str] = {}
