"""Statements, manifest and seal of a netted window on a real ledger."""

import csv
import json
import re
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from coalition.audit.policy import NONE, Policy
from coalition.audit.trust import BatchKey, Trust
from coalition.domain.accounts import TransferCode
from coalition.domain.kinds import Kind
from coalition.storage import settlement as store
from coalition.storage import statement_lines
from coalition.storage.positions import Claim, Party, Position
from coalition.storage.rederivation import differing
from keys.signature import verify
from settlement import closing, netting, rederiving, report
from settlement.cells import file_digest, write_json
from settlement.contents import Contents
from settlement.errors import BooksDiffer, NeedsHuman
from settlement.sealing import seal_report
from settlement.statement import Statement, check, flow_of
from settlement.verifying import verify_report
from tests.ledger_fixtures import BATCHES, NAMES, NOTARY, SIGNER, Ledger, write_batch

TRUST = Trust(Policy(quorum=NONE), [BatchKey(BATCHES)])
CHINESE = "大华汽车维修（静安店）"


@pytest.fixture
def netted(ledger: Ledger) -> Ledger:
    """A month in which one merchant has a Chinese name and another a name like a formula."""
    with ledger.connect("coalition") as office:
        office.execute("UPDATE participants SET display_name = %s WHERE participant_id = 5", (CHINESE,))
        office.execute("UPDATE participants SET display_name = '=1+1' WHERE participant_id = 3")
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 25000), (5, 4, 1250)])
        write_batch(connection, [(3, 4, 5000)], code=TransferCode.BONUS)
        write_batch(connection, [(4, 1, 180)], code=TransferCode.OPERATOR_FEE)
        write_batch(connection, [(4, 3, 300), (5, 3, 4000)], code=TransferCode.COMMISSION)
    closed(ledger)
    with ledger.connect() as connection:
        netting.net(connection, ledger.follower(), "monthly", "2017-01", notary=NOTARY)
    return ledger


def closed(ledger: Ledger) -> None:
    with ledger.connect() as connection:
        closing.close(
            connection,
            "monthly",
            label="2017-01",
            following=None,
            clock=lambda: store.now(connection),
            sleep=lambda seconds: None,
            notary=NOTARY,
        )


def write(ledger: Ledger, directory: Path) -> report.Report:
    """A sealed report."""
    with ledger.connect() as connection:
        return report.write(
            connection,
            "monthly",
            "2017-01",
            directory,
            seal=lambda contents, digest: seal_report(connection, contents, digest, notary=NOTARY, signer=SIGNER),
        )


def test_statements_tell_every_entry_as_csv_and_workbook_and_close_at_the_net_position(netted: Ledger, tmp_path: Path):
    write(netted, tmp_path / "out")
    for code, closing_balance in {"store-a": "-257.00", "cafe-c": "307.70", "garage-d": "-52.50"}.items():
        with (tmp_path / "out" / "statements" / f"{code}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        book = openpyxl.load_workbook(tmp_path / "out" / "statements" / f"{code}.xlsx")
        lines = list(book["Lines"].values)
        figures = dict(zip(*list(book["Statement"].values)[6:8], strict=False))

        assert [closing_balance, closing_balance] == [
            rows[-1]["balance"],
            str(Decimal(str(lines[-1][-1])).quantize(Decimal("0.01"))),
        ]
        assert [[row["entry_id"], row["counterparty"], int(row["credit_minor"])] for row in rows] == [
            [line[0], line[9], line[13]] for line in lines[1:]
        ]
        assert (
            float(closing_balance) == figures["closing"] == figures["opening"] + figures["received"] - figures["sent"]
        )


def test_a_sale_is_told_by_its_reference_to_whose_sale_it_was_and_to_nobody_else(ledger: Ledger, tmp_path: Path):
    """The debtor of a claim sees that it owes; what the other's till called the sale is not its business."""
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 100)])
    with ledger.connect("coalition") as owner:
        owner.execute("UPDATE entries SET sale_reference = '=R-1'")
    closed(ledger)
    with ledger.connect() as connection:
        netting.net(connection, ledger.follower(), "monthly", "2017-01", notary=NOTARY)
        report.write(connection, "monthly", "2017-01", tmp_path / "out")
    told = {}
    for code in ("store-a", "cafe-c"):
        with (tmp_path / "out" / "statements" / f"{code}.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        told[code] = row["sale_reference"], row["request_id"] != ""

    assert told == {"store-a": ("", False), "cafe-c": ("'=R-1", True)}


def test_no_cell_of_a_workbook_is_a_formula(netted: Ledger, tmp_path: Path):
    write(netted, tmp_path / "out")
    for path in sorted((tmp_path / "out" / "statements").glob("*.xlsx")):
        with zipfile.ZipFile(path) as archive:
            sheets = [archive.read(name).decode() for name in archive.namelist() if "worksheets/" in name]

        assert not [sheet for sheet in sheets if re.search(r"<f[ >]", sheet)]


def test_a_pdf_has_its_font_inside_and_shows_chinese_names(netted: Ledger, tmp_path: Path):
    """Without the glyphs a viewer prints boxes; the standard for archives (PDF/A) forbids a font that is not inside."""
    write(netted, tmp_path / "out")
    pdf = (tmp_path / "out" / "statements" / "garage-d.pdf").read_bytes()

    assert pdf.startswith(b"%PDF-1.7")
    assert re.search(rb"/BaseFont/[A-Z]{6}\+NotoSansSC-Regular", pdf)
    assert b"/FontFile3" in pdf
    assert b"pdfaid:part>2<" in pdf


def test_a_statement_that_does_not_close_is_refused():
    """Opening + received - sent = closing, or nobody gets a paper."""
    flows = [flow_of(Claim(1, 3, 4, 1, 1, 500, 1), 4)]
    party = Party(4, "cafe-c", "Cafe", "STORE")
    check(Statement(party, [Position(4, 1, 500, 0)], flows))
    with pytest.raises(BooksDiffer, match="is not closing 501"):
        check(Statement(party, [Position(4, 1, 501, 0)], flows))


def test_a_report_is_sealed_once_in_the_journal_and_again_with_the_same_bytes(netted: Ledger, tmp_path: Path):
    first = write(netted, tmp_path / "first")
    again = write(netted, tmp_path / "again")
    with netted.connect() as connection:
        rows = connection.execute("SELECT answer FROM entries WHERE kind = %s", (Kind.REPORT_SEALED,)).fetchall()
    notes = {(tmp_path / each / "manifest.note").read_bytes() for each in ("first", "again")}

    assert [first.manifest_sha256] == [json.loads(answer)["answer"]["manifest_sha256"] for (answer,) in rows]
    assert (first.manifest_sha256, 1) == (again.manifest_sha256, len(notes))
    assert first.files == 9 + 4 * len(NAMES)
    assert first.manifest_sha256 == verify_report(tmp_path / "first", TRUST, verify).manifest_sha256


def test_a_report_that_is_killed_after_its_entry_was_written_is_made_again_to_the_same_bytes(
    netted: Ledger, tmp_path: Path
):
    """Nothing of it was seen, its entry stands: the second run finds that entry and signs the same note."""
    digests: list[str] = []

    def killed(contents: Contents, digest: str) -> str:
        seal_report(connection, contents, digest, notary=NOTARY, signer=SIGNER)
        digests.append(digest)
        raise KeyboardInterrupt

    with netted.connect() as connection, pytest.raises(KeyboardInterrupt):
        report.write(connection, "monthly", "2017-01", tmp_path / "out", seal=killed)
    assert not (tmp_path / "out").exists()
    assert digests == [write(netted, tmp_path / "out").manifest_sha256]
    with netted.connect() as connection:
        ((acts,),) = connection.execute(
            "SELECT count(*) FROM entries WHERE kind = %s", (Kind.REPORT_SEALED,)
        ).fetchall()
    assert 1 == acts


def test_another_report_of_a_sealed_window_is_refused(netted: Ledger, tmp_path: Path):
    """A merchant was handed the first; HQ cannot replace it in silence."""
    write(netted, tmp_path / "out")
    with netted.connect("coalition") as office:
        office.execute("UPDATE participants SET display_name = 'Other' WHERE participant_id = 5")
    with pytest.raises(NeedsHuman, match="another report of monthly/2017-01 is sealed"):
        write(netted, tmp_path / "out")

    assert verify_report(tmp_path / "out", TRUST, verify).window == "monthly/2017-01"


def tampered_figure(directory: Path) -> None:
    path = directory / "positions.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("307.70", "307.71"), encoding="utf-8")


def tampered_manifest(directory: Path) -> None:
    tampered_figure(directory)
    listed = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    for entry in listed["files"]:
        entry["sha256"] = file_digest(directory / entry["name"])
    write_json(directory / "manifest.json", listed)


def tampered_seal(directory: Path) -> None:
    tampered_manifest(directory)
    digest = file_digest(directory / "manifest.json")
    note = directory / "manifest.note"
    note.write_text(re.sub("manifest [0-9a-f]{64}", f"manifest {digest}", note.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (tampered_figure, r"positions\.csv: changed"),
        (lambda directory: (directory / "summary.json").unlink(), r"summary\.json: missing"),
        (lambda directory: (directory / "more.csv").touch(), r"more\.csv: not listed"),
        (lambda directory: (directory / "manifest.note").unlink(), "was not sealed"),
        (tampered_manifest, "the seal is over manifest"),
        (tampered_seal, "said to be by coalition.example/test/reports and is not"),
        (lambda directory: (directory / "manifest.json").write_text("[]"), "is no manifest"),
    ],
    ids=["figure", "missing", "added", "unsealed", "manifest", "seal", "no manifest"],
)
def test_whatever_is_changed_in_a_report_is_named(sealed: Path, tmp_path: Path, tamper, words):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(sealed, copy)
    tamper(copy)
    with pytest.raises(NeedsHuman, match=words):
        verify_report(copy, TRUST, verify)


@pytest.fixture(scope="module")
def sealed(postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sealed report, copied by those who tamper with it."""
    from tests.ledger_fixtures import new_ledger

    ledger = new_ledger(postgres)
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 30770)])
    closed(ledger)
    with ledger.connect() as connection:
        netting.net(connection, ledger.follower(), "monthly", "2017-01", notary=NOTARY)
    directory = tmp_path_factory.mktemp("report") / "out"
    write(ledger, directory)
    postgres.drop(ledger.database)
    return directory


def test_a_seal_of_a_key_that_is_not_trusted_for_its_batch_is_refused(sealed: Path):
    """A retired key keeps its line in the trust file, with the last batch it may have signed."""
    retired = Trust(Policy(quorum=NONE), [BatchKey(BATCHES, last=1)])
    with pytest.raises(NeedsHuman, match="not signed by a key that the trust file names"):
        verify_report(sealed, retired, verify)


def test_lines_that_do_not_follow_from_the_claims_stop_the_report(netted: Ledger, tmp_path: Path, monkeypatch):
    """The report is a re-derivation of its own: two claims of one participant that cancel out are found too."""
    original = statement_lines.LINES
    monkeypatch.setattr(
        statement_lines, "LINES", original.replace("t.amount_minor\n", "t.amount_minor + (t.code = 3)::int\n")
    )
    monkeypatch.setattr(
        statement_lines,
        "LINES",
        original.replace("t.code, t.unit, t", "CASE t.code WHEN 2 THEN 1 ELSE t.code END, t.unit, t"),
    )
    with pytest.raises(BooksDiffer, match=r"3 owes 4 BONUS in unit 1: .*\[5000, 1\] as claimed, \[0, 0\] in lines"):
        write(netted, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def rederived(ledger: Ledger, *, whole_journal: bool = False) -> rederiving.Rederived:
    with ledger.connect() as connection:
        return rederiving.rederive(connection, ledger.follower(), "monthly", "2017-01", whole_journal=whole_journal)


def test_a_window_is_rederived_from_its_own_numbers(netted: Ledger):
    done = rederived(netted)

    assert (6, 35730, 6) == (done.transfer_count, done.gross_minor, done.claims)


@pytest.mark.parametrize("whole_journal", [False, True])
def test_the_database_tells_only_the_claims_that_differ(netted: Ledger, *, whole_journal: bool):
    """What agrees stays where it is: a window has tens of thousands of pairs."""
    bonus, fee = int(TransferCode.BONUS), int(TransferCode.OPERATOR_FEE)
    with netted.connect() as connection:
        windows = store.windows(connection, "monthly")
        window = next(each for each in windows if each.label == "2017-01")
        ranges = rederiving.own_numbers(windows, window)

        def found() -> tuple[list[int], list[int]]:
            pairs, claims = differing(connection, window.window_id, ranges, whole_journal=whole_journal)
            return [pair.code for pair in pairs], [claim.code for claim in claims]

        assert ([], []) == found()
        with netted.connect("coalition_app") as app:
            app.execute("UPDATE window_claims SET transfer_count = transfer_count + 1 WHERE code = %s", (fee,))
            app.execute("DELETE FROM window_claims WHERE code = %s", (bonus,))
        in_journal, in_fold = found()

    assert {bonus, fee} == set(in_journal)
    assert {fee} == set(in_fold)


def test_positions_that_do_not_follow_from_the_claims_are_found_by_rederiving(netted: Ledger):
    """The fold and the journal agree; what netting stored is another thing."""
    with netted.connect() as connection:
        connection.execute(
            "UPDATE net_positions SET received_minor = received_minor + 1, net_position_minor = net_position_minor + 1"
            " WHERE participant_id = 4"
        )

    with pytest.raises(BooksDiffer, match="net positions of 2017-01"):
        rederived(netted)


def test_a_fold_that_differs_from_the_journal_is_found_by_rederiving_and_told_where(netted: Ledger):
    with netted.connect("coalition_app") as connection:
        connection.execute("UPDATE window_claims SET amount_minor = amount_minor + 1 WHERE code = 4")
    with pytest.raises(BooksDiffer) as differ:
        rederived(netted)

    assert "4 owes 1 OPERATOR_FEE in unit 1: (amount, transfers) is (181, 1) in the fold, (180, 1)" in str(differ.value)


def test_a_claim_behind_the_cut_is_found(netted: Ledger):
    """Nothing enters a closed window; if something did, the fold and the window's own numbers part."""
    with netted.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 1)], window_id=1)
    netted.follower().catch_up()
    with pytest.raises(BooksDiffer, match=r"\(25001, 2\) in the fold, \(25000, 1\) in the journal"):
        rederived(netted)
    with pytest.raises(BooksDiffer, match=r"batch 7 is none of the window's, which are 1..4"):
        rederived(netted, whole_journal=True)


def test_an_open_window_is_not_rederived(ledger: Ledger):
    with pytest.raises(NeedsHuman, match="close it first"):
        rederived(ledger)
