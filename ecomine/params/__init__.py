"""params.yaml read into frozen, typed settings.

A section is a frozen dataclass whose field metadata says what each setting means. A key that no section knows is an
error that suggests the right one; so is a value of the wrong type.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ecomine.errors import SettingsError
from ecomine.params.reading import FILE, build, refuse_bare_dates, setting, unknown
from ecomine.params.sections import (
    ChallengerParams,
    CleaningParams,
    EngineParams,
    FeatureParams,
    GateParams,
    MonitoringParams,
    NotificationParams,
    OnlineParams,
    QualityParams,
    ReportParams,
    RunParams,
    SchedulesParams,
    ServingParams,
    SimulationParams,
    SqlParams,
    StreamingParams,
)

__all__ = [
    "FILE",
    "ChallengerParams",
    "CleaningParams",
    "EngineParams",
    "FeatureParams",
    "GateParams",
    "MonitoringParams",
    "NotificationParams",
    "OnlineParams",
    "Params",
    "QualityParams",
    "ReportParams",
    "RunParams",
    "SchedulesParams",
    "ServingParams",
    "SimulationParams",
    "SqlParams",
    "StreamingParams",
    "build",
    "load",
    "parse",
    "setting",
]


@dataclass(frozen=True)
class Params:
    """All settings of a workspace. `sections` holds the domains' own, by name."""

    source: str = setting("complete_journey", "where tables come from: complete_journey, sql or simulated")
    raw: str = setting("data/raw", "folder of the shop's own files, relative to params.yaml")
    project: str = setting(".", "folder of the ecomine checkout whose code makes the results, relative to params.yaml")
    as_of: datetime | str = setting("latest", "nothing after it is seen; `latest` is the end of the last full day")
    seed: int = setting(42, "seed of everything random", at_least=0, at_most=2**31 - 1)
    domains: list[str] = setting(["profiling", "recommendation"], "domains to run, in this order")
    parallel_domains: int = setting(
        1, "domains that the flow `retrain` works on at once, each in a process of its own", at_least=1, at_most=64
    )
    engine: EngineParams = field(default_factory=EngineParams)
    sql: SqlParams = field(default_factory=SqlParams)
    cleaning: CleaningParams = field(default_factory=CleaningParams)
    quality: QualityParams = field(default_factory=QualityParams)
    features: FeatureParams = field(default_factory=FeatureParams)
    online: OnlineParams = field(default_factory=OnlineParams)
    streaming: StreamingParams = field(default_factory=StreamingParams)
    gate: GateParams = field(default_factory=GateParams)
    serving: ServingParams = field(default_factory=ServingParams)
    runs: RunParams = field(default_factory=RunParams)
    notifications: NotificationParams = field(default_factory=NotificationParams)
    report: ReportParams = field(default_factory=ReportParams)
    challenger: ChallengerParams = field(default_factory=ChallengerParams)
    monitoring: MonitoringParams = field(default_factory=MonitoringParams)
    simulation: SimulationParams = field(default_factory=SimulationParams)
    schedules: SchedulesParams = field(default_factory=SchedulesParams)
    sections: Mapping[str, Any] = field(default_factory=dict, metadata={"hidden": True})


def load(path: Path, sections: Mapping[str, type]) -> Params:
    """Settings from the file `path`; `sections` maps each domain's name to the dataclass of its settings.

    Raises SettingsError for an absent or unreadable file, an unknown key, a wrong type or a value out of range.
    """
    if not path.is_file():
        raise SettingsError(
            f"There is no {path.name} in {path.parent}. Run in the folder that holds it, name that folder with "
            "--workspace, or write one with `ecomine init FOLDER`."
        )
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not readable YAML: {' '.join(str(error).split())}") from error
    refuse_bare_dates(document, "")
    return parse(document, sections)


def parse(document: Any, sections: Mapping[str, type]) -> Params:
    """Settings from a nested dict, as `load` reads it."""
    if not isinstance(document, dict):
        raise SettingsError(f"{FILE} holds {type(document).__name__}; expected keys with values, such as `seed: 42`.")
    own = {key: value for key, value in document.items() if key not in sections}
    known = {f.name for f in dataclasses.fields(Params) if not f.metadata.get("hidden")}
    for key in own:
        if key not in known:
            raise SettingsError(unknown(str(key), "", known | set(sections)))
    settings: dict[str, Any] = {name: build(kind, document.get(name) or {}, name) for name, kind in sections.items()}
    params = build(Params, own, "")
    for name in params.domains:
        if name not in sections:
            raise SettingsError(unknown(name, "domains", set(sections)).replace("setting", "domain", 1))
    return dataclasses.replace(params, sections=settings)
