"""deploy/observability: an alert on a metric that nobody publishes never rings."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.server.permissions import RULES
from coalition.server.status import reason_of
from coalition.telemetry.calls import code_of
from coalition.telemetry.looks import Lag, Looks, Sources
from coalition.telemetry.metrics import Metrics
from tests.telemetry.answers import told
from tests.telemetry.scrape import samples

FOLDER = Path(__file__).parent.parent.parent / "deploy" / "observability"
METRIC = re.compile(r"\b((?:coalition|process|python)_[a-z_]+)\b")
MATCHER = re.compile(r"\b(\w+)!?=\"([^\"]*)\"")
BY = re.compile(r"\bby \(([^)]*)\)")
METHODS = [method.removeprefix("/") for method in RULES]
# What Prometheus adds to every sample.
OF_PROMETHEUS = {"job", "instance"}


def published() -> dict[str, set[str]]:
    """Every sample's name and the labels it may have, of a server to which everything has happened once."""
    metrics = Metrics(METHODS, reason_of)
    metrics.rpc(f"/{METHODS[0]}", Reason.ACCEPTED, 0.1)
    metrics.answers([told(Kind.PURCHASE, Refused(Reason.QUEUE_FULL))])
    sources = Sources(lambda: 0, lambda: 0, {"ledger": dict}, {"positions": lambda: Lag(0, 0.0)})
    metrics.registry.register(Looks(sources))
    found: dict[str, set[str]] = {}
    for name, labels in samples(generate_latest(metrics.registry).decode()):
        found.setdefault(name, set()).update(key for key, _ in labels)
    return found


def expressions() -> list[str]:
    rules = re.findall(r"^ +expr: (?:>-\n +)?(.+)$", (FOLDER / "coalition.rules.yml").read_text("utf-8"), re.MULTILINE)
    board = json.loads((FOLDER / "grafana-coalition.json").read_text("utf-8"))
    return [*rules, *(target["expr"] for panel in board["panels"] for target in panel["targets"])]


def test_there_is_something_to_look_at():
    assert 24 <= len(expressions())


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_label_and_value_of_an_alert_or_a_panel_exists(expression: str):
    known = published()
    bare = BY.sub("", MATCHER.sub("", expression))
    names = METRIC.findall(bare)
    labels = set().union(*(known.get(name, set()) for name in names)) | OF_PROMETHEUS
    grouped = {label.strip() for group in BY.findall(expression) for label in group.split(",")}
    values = {
        "method": {*METHODS, "other"},
        "reason": {reason.name for reason in Reason},
        "code": {code_of(reason) for reason in Reason},
        "kind": {kind.name for kind in Kind},
        "job": {"coalition"},
    }

    assert names or expression.startswith("up{")
    assert [] == [name for name in names if name not in known]
    assert grouped <= labels
    assert [] == [(key, said) for key, said in MATCHER.findall(expression) if said not in values[key]]


def test_every_metric_of_ours_is_looked_at_or_is_a_detail_of_a_pool():
    """What nobody looks at costs as much as what everybody does."""
    ours = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in published() if name.startswith("coalition_")}
    seen = {re.sub(r"_(bucket|sum|count|total)$", "", name) for each in expressions() for name in METRIC.findall(each)}

    assert {"coalition_pool"} >= {"_".join(name.split("_")[:2]) for name in ours - seen}
