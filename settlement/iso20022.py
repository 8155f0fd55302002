"""ISO 20022 as banks exchange it: pain.001.001.09 (payments) and pain.008.001.09 (collections) out; camt.054.001.08
(what is booked) and pain.002.001.10 (what is accepted or rejected) in.

Written and read with the standard's own types (pyiso20022, xsdata). What is written depends on the run's content alone:
no clock, no locale, no path. A bank's file is held to what such files are: UTF-8, no DTD.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from pyiso20022.camt import camt_054_001_08 as camt
from pyiso20022.pain import pain_001_001_09 as credit
from pyiso20022.pain import pain_002_001_10 as status
from pyiso20022.pain import pain_008_001_09 as debit
from xsdata.exceptions import ParserError
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.formats.dataclass.parsers.handlers import XmlEventHandler
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.formats.dataclass.serializers.config import SerializerConfig
from xsdata.models.datatype import XmlDate, XmlDateTime

from coalition.domain.bank_results import BankLine, Result
from settlement.errors import NeedsHuman
from settlement.instructions import Account, Content, Instructed, account_of
from settlement.multilateral import major

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:"
IBAN_LETTERS: Final = 4  # an IBAN begins with a country and two digits
BIC_LENGTHS: Final = (8, 11)
BOOKED: Final = "BOOK"
STATUS_REPORT: Final = "pain.002.001.10"  # the report that belongs to pain.001.001.09 and pain.008.001.09
KNOWN: Final = f"camt.054.001.08 or {STATUS_REPORT}"
# ExternalPaymentTransactionStatus1Code. ACSC says that the paying account is settled; a notice books the money.
RESULTS: Final = {
    **dict.fromkeys(("ACCP", "ACTC", "ACSP", "ACWC", "ACSC", "ACCC"), Result.ACCEPTED),
    "RJCT": Result.REJECTED,
}
UNDECIDED: Final = frozenset({"RCVD", "PDNG"})
HUNDRED: Final = 100


def payments(content: Content) -> bytes:
    """The credit transfers: the operator's account pays everybody who is to be paid, one batch."""
    rows, m = content.instructed(1), credit
    paid = m.PaymentInstruction30(
        **batch(content, rows, "PAY"),
        pmt_mtd=m.PaymentMethod3Code.TRF,
        chrg_br=m.ChargeBearerType1Code.SLEV,
        reqd_exctn_dt=m.DateAndDateTime2Choice(dt=XmlDate.from_date(content.execution_date)),
        dbtr=party(m, operator_of(content).holder),
        dbtr_acct=cash_account(m, operator_of(content)),
        dbtr_agt=agent(m, operator_of(content)),
        cdt_trf_tx_inf=[
            m.CreditTransferTransaction34(
                **transaction(m, row, content),
                amt=m.AmountType4Choice(instd_amt=amount(m, row, content.currency_code)),
                cdtr_agt=agent(m, account_of(row)),
                cdtr=party(m, account_of(row).holder),
                cdtr_acct=cash_account(m, account_of(row)),
            )
            for row in rows
        ],
    )
    header = m.GroupHeader85(**message(m, content, rows, "PAY"))
    order = m.CustomerCreditTransferInitiationV09(grp_hdr=header, pmt_inf=[paid])
    return written(m.Document(cstmr_cdt_trf_initn=order), "pain.001.001.09")


def collections(content: Content) -> bytes:
    """The direct debits: everybody who is to pay, each under its mandate, to the operator's account, one batch."""
    rows, m = content.instructed(-1), debit
    collected = m.PaymentInstruction37(
        **batch(content, rows, "COL"),
        pmt_mtd=m.PaymentMethod2Code.DD,
        chrg_br=m.ChargeBearerType1Code.SLEV,
        reqd_colltn_dt=XmlDate.from_date(content.execution_date),
        cdtr=party(m, operator_of(content).holder),
        cdtr_acct=cash_account(m, operator_of(content)),
        cdtr_agt=agent(m, operator_of(content)),
        drct_dbt_tx_inf=[
            m.DirectDebitTransactionInformation23(
                **transaction(m, row, content),
                instd_amt=amount(m, row, content.currency_code),
                drct_dbt_tx=mandate(account_of(row)),
                dbtr_agt=agent(m, account_of(row)),
                dbtr=party(m, account_of(row).holder),
                dbtr_acct=cash_account(m, account_of(row)),
            )
            for row in rows
        ],
    )
    header = m.GroupHeader83(**message(m, content, rows, "COL"))
    order = m.CustomerDirectDebitInitiationV09(grp_hdr=header, pmt_inf=[collected])
    return written(m.Document(cstmr_drct_dbt_initn=order), "pain.008.001.09")


def message(m: Any, content: Content, rows: list[Instructed], what: str) -> dict[str, Any]:
    """What the header of either order says."""
    return {
        "msg_id": f"{content.message_id}-{what}",
        "cre_dt_tm": XmlDateTime.from_datetime(content.prepare_time),
        "nb_of_txs": str(len(rows)),
        "ctrl_sum": total(rows),
        "initg_pty": party(m, content.operator_name),
    }


def batch(content: Content, rows: list[Instructed], what: str) -> dict[str, Any]:
    """What the one batch of either order says."""
    return {
        "pmt_inf_id": f"{content.message_id}-{what}",
        "btch_bookg": False,
        "nb_of_txs": str(len(rows)),
        "ctrl_sum": total(rows),
    }


def transaction(m: Any, row: Instructed, content: Content) -> dict[str, Any]:
    """What either transaction says of itself."""
    return {
        "pmt_id": m.PaymentIdentification6(instr_id=row.instruction_id, end_to_end_id=row.instruction_id or ""),
        "rmt_inf": m.RemittanceInformation16(ustrd=[content.reference]),
    }


def written(document: Any, message: str) -> bytes:
    """The document as bytes: UTF-8, two spaces, LF."""
    serializer = XmlSerializer(config=SerializerConfig(indent="  "))
    text: str = serializer.render(document, ns_map={None: NAMESPACE + message})
    return text.encode()


def operator_of(content: Content) -> Account:
    """The account that everything goes through."""
    if content.operator is None:
        raise ValueError(f"run {content.run_id} has instructions and no account of the operator")
    return content.operator


def total(rows: list[Instructed]) -> Decimal:
    """The control sum of a batch, major units."""
    return Decimal(major(sum(abs(row.instructed_minor) for row in rows)))


def amount(m: Any, row: Instructed, currency_code: str) -> Any:
    """What one instruction moves."""
    return m.ActiveOrHistoricCurrencyAndAmount(value=Decimal(major(abs(row.instructed_minor))), ccy=currency_code)


def party(m: Any, name: str) -> Any:
    """Who pays or is paid; the standard takes 140 characters."""
    return m.PartyIdentification135(nm=name[:140])


def cash_account(m: Any, account: Account) -> Any:
    """An IBAN where it looks like one, any other number as it is."""
    number = account.account
    if number[:2].isalpha() and number[2:IBAN_LETTERS].isdecimal():
        return m.CashAccount38(id=m.AccountIdentification4Choice(iban=number))
    return m.CashAccount38(id=m.AccountIdentification4Choice(othr=m.GenericAccountIdentification1(id=number)))


def agent(m: Any, account: Account) -> Any:
    """The bank: a BIC where it looks like one, else its number in the clearing system (in China the CNAPS code)."""
    if len(account.bank) in BIC_LENGTHS and account.bank[:6].isalpha():
        bank = m.FinancialInstitutionIdentification18(bicfi=account.bank)
    else:
        member = m.ClearingSystemMemberIdentification2(mmb_id=account.bank)
        bank = m.FinancialInstitutionIdentification18(clr_sys_mmb_id=member)
    return m.BranchAndFinancialInstitutionIdentification6(fin_instn_id=bank)


def mandate(account: Account) -> Any:
    """What allows the operator to collect; None where no mandate is known."""
    if not account.mandate_id:
        return None
    signed = XmlDate.from_date(account.mandate_date) if account.mandate_date else None
    related = debit.MandateRelatedInformation14(mndt_id=account.mandate_id, dt_of_sgntr=signed)
    return debit.DirectDebitTransaction10(mndt_rltd_inf=related)


def read_message(file: bytes) -> list[BankLine]:
    """The lines of what a bank sends, camt.054 or pain.002. Raises NeedsHuman for what is neither, with the cure."""
    try:
        text = file.decode("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise NeedsHuman("the bank's file has a DTD, which no ISO 20022 message has: ask the bank for another")
        is_status = f'"{NAMESPACE}{STATUS_REPORT}"' in text
        parser = XmlParser(config=ParserConfig(fail_on_unknown_properties=True), handler=XmlEventHandler)
        document = parser.from_string(text, status.Document if is_status else camt.Document)
    except (UnicodeDecodeError, ParserError, ValueError, TypeError, SyntaxError) as error:
        raise NeedsHuman(f"the bank's file is no {KNOWN} in UTF-8: {type(error).__name__}") from error
    told = document.cstmr_pmt_sts_rpt if isinstance(document, status.Document) else document.bk_to_cstmr_dbt_cdt_ntfctn
    if told is None:
        raise NeedsHuman(f"the bank's file is no {KNOWN}: it holds no notice and no report")
    if is_status:
        return list(status_lines(told))
    return [line for account in told.ntfctn for entry in account.ntry for line in entry_lines(entry)]


def status_lines(report: Any) -> Iterator[BankLine]:
    """One line for each transaction that the bank accepts or rejects; what is received or pending says nothing yet.

    Its reference is the report's own id with the transaction's: told again in another report it is another line.
    """
    said = report.orgnl_grp_inf_and_sts
    sign = -1 if (said.orgnl_msg_nm_id or "").startswith("pain.008") else 1
    transactions = [each for block in report.orgnl_pmt_inf_and_sts for each in block.tx_inf_and_sts]
    if not transactions:
        raise NeedsHuman(
            f"the bank's report says {said.grp_sts or 'nothing'} of {said.orgnl_msg_id} as a whole: have the bank tell "
            "each transaction, or put what it says into the plain CSV"
        )
    for each in transactions:
        name = each.orgnl_end_to_end_id or each.orgnl_instr_id or ""
        reference = f"{report.grp_hdr.msg_id}/{name}"
        code = each.tx_sts or ""
        if code in UNDECIDED:
            continue
        if code not in RESULTS:
            raise NeedsHuman(
                f"the bank's transaction {reference} has the status {code or 'none'}, which decides nothing"
            )
        told = each.orgnl_tx_ref.amt.instd_amt if each.orgnl_tx_ref and each.orgnl_tx_ref.amt else None
        yield BankLine(
            bank_reference=reference,
            instruction_id=name,
            amount_minor=sign * minor(told.value, reference) if told else 0,
            currency_code=told.ccy or "" if told else "",
            result=RESULTS[code],
            cause=cause_of(next(iter(each.sts_rsn_inf), None)),
        )


def entry_lines(entry: Any) -> Iterator[BankLine]:
    """One line for each transaction of a booked entry; what is pending or for information only says nothing yet."""
    if entry.sts.cd != BOOKED:
        return
    details = [each for block in entry.ntry_dtls for each in block.tx_dtls]
    if not details:
        raise NeedsHuman(f"the bank's entry {entry.acct_svcr_ref or entry.ntry_ref} has no transactions in it")
    for place, each in enumerate(details):
        refs = each.refs
        reference = refs.acct_svcr_ref if refs and refs.acct_svcr_ref else None
        if reference is None and entry.acct_svcr_ref:
            reference = f"{entry.acct_svcr_ref}/{place}"
        if reference is None:
            raise NeedsHuman(f"a transaction of entry {entry.ntry_ref} has no reference of the bank's own")
        told = each.amt or (entry.amt if len(details) == 1 else None)
        if told is None or told.value is None:
            raise NeedsHuman(f"the bank's transaction {reference} has no amount")
        direction = each.cdt_dbt_ind or entry.cdt_dbt_ind
        is_return = each.rtr_inf is not None or bool(entry.rvsl_ind)
        came_in = direction is camt.CreditDebitCode.CRDT
        # In came from a participant that was to pay, out went to one that was to be paid; a return the other way.
        sign = -1 if came_in is not is_return else 1
        yield BankLine(
            bank_reference=reference,
            instruction_id=(refs.end_to_end_id if refs else None) or "",
            amount_minor=sign * minor(told.value, reference),
            currency_code=told.ccy or "",
            result=Result.RETURNED if is_return else Result.BOOKED,
            cause=cause_of(each.rtr_inf),
        )


def minor(value: Decimal, reference: str) -> int:
    """Major units as minor ones, exactly."""
    scaled = value * HUNDRED
    if scaled != scaled.to_integral_value() or scaled <= 0:
        raise NeedsHuman(f"the bank's transaction {reference} has an amount that is no money: {value}")
    return int(scaled)


def cause_of(returned: Any) -> str:
    """Why a payment came back, as the bank codes it."""
    if returned is None or returned.rsn is None:
        return ""
    return returned.rsn.cd or returned.rsn.prtry or ""
