"""The stages of one domain: from labelled rows to a deployed model."""

from typing import Any

from ecomine import layout
from ecomine.domain import LABEL, Domain
from ecomine.errors import DamagedError, GateError, NotEnoughDataError, SettingsError
from ecomine.params import FeatureParams
from ecomine.stages.context import Context
from ecomine.store import write_frame, write_json

REPORT, DROP = "report", "drop"
"""What becomes of features that add nothing."""


def frames(context: Context, domain: Domain) -> None:
    from ecomine import feature_store

    context.store.require(layout.FEATURES, "features")
    with context.connection() as connection:
        inputs = context.inputs(connection, domain)
        for line in inputs.without(domain):
            context.say(line)
        rows = domain.label(inputs)
    for line in rows.notes:
        context.say(f"{domain.name}: {line}")
    with context.store.replacing(layout.FRAMES.format(domain=domain.name)) as folder:
        folder.mkdir()
        for name, part in (("train", rows.train), ("test", rows.test)):
            frame = feature_store.point_in_time(context.store.workspace, part, domain.service)
            write_frame(folder / f"{name}.parquet", frame)
            context.say(f"{domain.name}: {len(frame):,} {name} rows of {frame.shape[1]} columns")
        write_frame(folder / "truth.parquet", rows.truth)


def select(context: Context, domain: Domain) -> None:
    from ecomine import feature_selection, feature_store

    folder = layout.FRAMES.format(domain=domain.name)
    context.store.require(folder, f"frames {domain.name}")
    frame = context.store.read_frame(f"{folder}/train.parquet")
    features = feature_store.service_features(context.store.workspace, domain.service)
    try:
        verdicts = feature_selection.select(frame, LABEL, domain.entity, features, context.params.seed)
    except NotEnoughDataError as error:
        context.say(f"{domain.name}: features are not judged: {error}")
        verdicts = []
    report = feature_selection.report(verdicts)
    context.store.write_json(layout.SELECTION.format(domain=domain.name), report)
    context.say(f"{domain.name}: {report['kept']} features add something, {report['dropped']} nothing")


def feature_choice(params: FeatureParams) -> str:
    """`features.selection`; raises SettingsError where it is neither of the two."""
    if params.selection not in (REPORT, DROP):
        raise SettingsError(f"`features.selection` is {params.selection!r}; expected {REPORT} or {DROP}.")
    return params.selection


def train(context: Context, domain: Domain) -> None:
    folder, selection = layout.FRAMES.format(domain=domain.name), layout.SELECTION.format(domain=domain.name)
    context.store.require(folder, f"frames {domain.name}")
    context.store.require(selection, f"select {domain.name}")
    frame = context.store.read_frame(f"{folder}/train.parquet")
    if feature_choice(context.params.features) == DROP:
        judged = context.store.read_json(selection)["features"]
        frame = frame.drop(columns=[name for name, verdict in judged.items() if not verdict["kept"]])
    with context.connection() as connection:
        model = domain.fit(frame, context.inputs(connection, domain))
    with context.store.replacing(layout.MODEL.format(domain=domain.name)) as path:
        path.mkdir()
        model.save(path)
    context.say(f"{domain.name}: model trained")


def evaluate(context: Context, domain: Domain) -> None:
    folder, name = layout.FRAMES.format(domain=domain.name), domain.name
    result = domain.evaluate(
        _candidate(context, domain),
        context.store.read_frame(f"{folder}/test.parquet"),
        context.store.read_frame(f"{folder}/truth.parquet"),
        context.params.sections[name],
    )
    with (
        context.store.replacing(layout.METRICS.format(domain=name)) as metrics,
        context.store.replacing(layout.PLOTS.format(domain=name)) as path,
    ):
        path.mkdir()
        write_frame(path / "values.parquet", result.values)
        for plot, frame in result.plots.items():
            frame.to_csv(path / f"{plot}.csv", index=False)
        write_json(metrics, result.metrics)
    context.say(f"{name}: evaluated on {len(result.values):,} units")


def decide(context: Context, domain: Domain) -> None:
    """Proposals: decisions of the candidate at as_of, from features read point in time. Deployment publishes them."""
    from ecomine import feature_store

    name = domain.name
    model = _candidate(context, domain)
    requests = domain.request(model, None)
    frame = feature_store.point_in_time(context.store.workspace, requests, domain.service)
    proposals = domain.decide(model, frame, context.params.sections[name])
    context.store.write_frame(layout.PROPOSALS.format(domain=name), proposals)
    context.say(f"{name}: {len(proposals):,} decisions proposed")


def gate(context: Context, domain: Domain) -> None:
    from ecomine import feature_store, gates

    name = domain.name
    context.store.require(layout.VALUES.format(domain=name), f"evaluate {name}")
    values = context.store.read_frame(layout.VALUES.format(domain=name))
    model = _candidate(context, domain)
    context.store.require(layout.PROPOSALS.format(domain=name), f"decide {name}")
    proposals = context.store.read_frame(layout.PROPOSALS.format(domain=name))
    with context.connection() as connection:
        checks = [
            *gates.value_checks(values, context.params.gate, context.params.seed),
            *domain.check(model, proposals, context.inputs(connection, domain)),
        ]
    requests = domain.request(model, None)
    sample = gates.sample(requests, domain.entity, context.params.gate.equality_sample, context.params.seed)
    differences = feature_store.differences(context.store.workspace, sample, domain.service)
    checks += [
        gates.equality_check(len(sample), differences),
        gates.size_check(context.store.path(layout.MODEL.format(domain=name)), context.params.gate),
    ]
    context.store.write_json(layout.GATE.format(domain=name), gates.report(checks))
    for check in checks:
        context.say(f"{name}: {'passed' if check.passed else 'FAILED'} {check.name}: {check.why}")


def deploy(context: Context, domain: Domain, force: bool = False) -> None:
    from ecomine import deployment, monitoring

    require_passed(context, domain)
    digest = deployment.promote(context, domain, force)
    monitoring.keep(context, domain, digest)
    context.say(f"{domain.name}: {digest[:12]} is deployed")


def require_passed(context: Context, domain: Domain) -> None:
    """Raises GateError, naming the checks, where the candidate has not passed its gate."""
    name = domain.name
    context.store.require(layout.GATE.format(domain=name), f"gate {name}")
    report = context.store.read_json(layout.GATE.format(domain=name), "checks")
    failed = [check for check in report["checks"] if not check["passed"]]
    if failed:
        raise GateError(
            f"{name}: the candidate is not deployed; "
            + "; ".join(f"{check['name']}: {check['why']}" for check in failed)
        )


def _candidate(context: Context, domain: Domain) -> Any:
    """The model that the stage `train` made; raises DamagedError where it cannot be loaded."""
    name = layout.MODEL.format(domain=domain.name)
    folder = context.store.require(name, f"train {domain.name}")
    try:
        return domain.load(folder)
    except Exception as error:  # each format of models fails in its own way
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DamagedError(
            f"{name} cannot be loaded: {why}. Make it anew: `ecomine stage train {domain.name}`."
        ) from error
