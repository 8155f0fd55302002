"""Doors for other protocols, each translated into the protos' own calls. The first: ISO 8583:1987 over TCP.

Knows the protos only: no client, no domain, no database of the coalition. Never decides about value; it keeps a small
notebook of its own (SQLite), so that a repeated message finds the request_id of its first. docs/iso8583.md is the sign
on this door: fields, response codes, the mapping file.

    listener   connections, framing, bounds       counter    one message in, one answer out
    fields     the field table, three encodings   translate  details of a message -> a request of the protos
    message    bytes <-> fields, masked           calls      gRPC, with a certificate per identity
    codes      message types, response codes      notebook   what was seen, written before anything is sent
    tills      which till a terminal id is        outbox     reversals that must still be delivered
    traces     how a message is known again       door       all of it put together
    local_time the year of a terminal's date      group_commit   SQLite behind one thread
"""
