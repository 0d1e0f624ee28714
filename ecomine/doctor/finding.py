"""What a check of the doctor finds."""

from dataclasses import dataclass

OK, WARNING, FAULT = "ok", "warning", "fault"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is well, what was seen, and how to mend it ("" where it is well)."""

    name: str
    state: str
    seen: str
    mend: str = ""

    @classmethod
    def ok(cls, name: str, seen: str) -> "Finding":
        return cls(name, OK, seen)

    @classmethod
    def warning(cls, name: str, seen: str, mend: str) -> "Finding":
        return cls(name, WARNING, seen, mend)

    @classmethod
    def fault(cls, name: str, seen: str, mend: str) -> "Finding":
        return cls(name, FAULT, seen, mend)
