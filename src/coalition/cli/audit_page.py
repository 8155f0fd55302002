"""The report of a bundle as one HTML page, to print or to file. Nothing in it is fetched from anywhere."""

from html import escape
from typing import Any, Final

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #ddd; padding: .3em .6em; text-align: left; vertical-align: top }
ul { margin: 0 } .breach { background: #fde8e8 } .undecided { background: #fff8db } .no-subject { color: #777 }
"""


def audit_page(told: dict[str, Any]) -> str:
    """The page of a report (coalition.audit.checks.report, to_json)."""
    facts = [row(name, value) for name, value in told.items() if name != "checks" and value not in ("", None)]
    checks = [check_row(check) for check in told["checks"]]
    title = f"Audit report: {escape(str(told['verdict']))}"
    return (
        f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{title}</title><style>{STYLE}</style>\n"
        f"<h1>{title}</h1>\n<table>{''.join(facts)}</table>\n<h2>Checks</h2>\n<table>"
        f"<tr><th>Check</th><th>Verdict</th><th>What</th><th>Looked at</th><th>Breaches</th></tr>{''.join(checks)}"
        "</table>\n</html>\n"
    )


def row(*cells: object) -> str:
    """A row of a table."""
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"


def check_row(check: dict[str, Any]) -> str:
    """A check with everything it found and lacked."""
    said = [placed(finding) for finding in check["findings"]] + [f"not decided: {each}" for each in check["undecided"]]
    items = "".join(f"<li>{escape(line)}</li>" for line in said)
    verdict = str(check["verdict"])
    return (
        f"<tr class='{verdict.replace(' ', '-')}'><td>{escape(check['check'])}</td><td>{escape(verdict)}</td>"
        f"<td>{escape(check['title'])}<ul>{items}</ul></td><td>{check['looked_at']:,}</td><td>{check['breaches']:,}</td></tr>"
    )


def placed(finding: dict[str, Any]) -> str:
    """A finding with where it is."""
    where = [f"leaf {finding['index']:,}"] if finding["index"] is not None else []
    where += [f"entry {finding['entry_id']}"] if finding["entry_id"] is not None else []
    return str(finding["sentence"]) + (f" ({', '.join(where)})" if where else "")
