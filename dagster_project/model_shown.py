"""What Dagster shows of a model: its gates, its columns, its figures, how its training set grew."""

from collections.abc import Sequence

import dagster as dg

from mesh.model import ColumnReport, RegisteredModel, TrainingContext, Verdict, prepare_tracking
from mesh.model.gates import FAILED, NOT_JUDGED

PROMOTION_GATES = "promotion_gates"


def gate_check(registered: RegisteredModel) -> dg.AssetCheckResult:
    """Whether the version passed its gates; a warning, since the champion goes on scoring either way."""
    failed = [one for one in registered.verdicts if one.verdict == FAILED or one.holds]
    not_judged = [one.gate for one in registered.verdicts if one.verdict == NOT_JUDGED and not one.holds]
    told = "; ".join(f"{one.gate} {one.verdict}: {one.told}" for one in failed) or registered.reason
    return dg.AssetCheckResult(
        check_name=PROMOTION_GATES,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Version {registered.version} {registered.decision.replace('_', ' ')}: {told}",
        metadata={
            "version": registered.version,
            "decision": registered.decision,
            "failed": [one.gate for one in failed],
            "not_judged": not_judged,
            "look": f"mesh model {registered.name.replace('.', '/')}",
        },
    )


def gate_table(verdicts: Sequence[Verdict]) -> dg.TableMetadataValue:
    """Every gate with its verdict in words."""
    head = [dg.TableColumn("gate"), dg.TableColumn("verdict"), dg.TableColumn("told"), dg.TableColumn("named")]
    records = [
        dg.TableRecord(
            {
                "gate": one.gate,
                "verdict": one.verdict,
                "told": one.told,
                "named": "definition" if one.named else "stands in",
            }
        )
        for one in verdicts
    ]
    return dg.TableMetadataValue(records, dg.TableSchema(head))


def column_table(reports: Sequence[ColumnReport]) -> dg.TableMetadataValue:
    """What became of each column, what is used first."""
    head = [
        dg.TableColumn("column"),
        dg.TableColumn("used"),
        dg.TableColumn("why"),
        dg.TableColumn("alone", "float", description="AUC of the column by itself"),
        dg.TableColumn("gain", "float", description="loss saved on rows of another time, in nats per 1,000 rows"),
        dg.TableColumn("drift", "float", description="population stability index, earlier to later rows"),
    ]
    records = [
        dg.TableRecord(
            {
                "column": report.column,
                "used": "yes" if report.used else "no",
                "why": report.why,
                "alone": report.auc_alone,
                "gain": report.gain,
                "drift": report.drift,
            }
        )
        for report in sorted(reports, key=lambda report: not report.used)
    ]
    return dg.TableMetadataValue(records, dg.TableSchema(head))


def label_facts(around: TrainingContext, run_id: str) -> dict[str, str]:
    """How the training set grew, as the run says it."""
    from mlflow.exceptions import MlflowException

    try:
        tags = prepare_tracking(around.tracking_uri).get_run(run_id).data.tags
    except MlflowException:
        return {}  # the run was deleted; its version stands all the same
    return {tag.removeprefix("mesh."): text for tag, text in tags.items() if tag.startswith("mesh.labels")}


def headline_metrics(around: TrainingContext, run_id: str) -> dict[str, float]:
    """The headline figures on later rows, as MLflow holds them, with the ends of their intervals."""
    from mlflow.exceptions import MlflowException

    try:
        found = prepare_tracking(around.tracking_uri).get_run(run_id).data.metrics
    except MlflowException:
        return {}  # the run was deleted; the model scores all the same
    headline = ("auc", "average_precision", "recall_at_capacity", "precision_at_capacity")
    names = [f"test_{name}{end}" for name in headline for end in ("", "_low", "_high")]
    return {name: found[name] for name in names if name in found}
