"""A bank's status report (pain.002) as tests write it."""


def report(*transactions: str, about: str = "pain.001.001.09", group: str = "") -> bytes:
    block = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>P</OrgnlPmtInfId>{''.join(transactions)}</OrgnlPmtInfAndSts>"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>S1</MsgId><CreDtTm>2017-02-03T10:00:00+08:00</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>2017-01-R7-PAY</OrgnlMsgId><OrgnlMsgNmId>{about}</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts>
{block if transactions else ""}</CstmrPmtStsRpt></Document>""".encode()


def said(instruction: str, code: str, amount: str = "", reason: str = "") -> str:
    told = f'<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">{amount}</InstdAmt></Amt></OrgnlTxRef>' if amount else ""
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{instruction}</OrgnlEndToEndId><TxSts>{code}</TxSts>{why}{told}</TxInfAndSts>"
    )
