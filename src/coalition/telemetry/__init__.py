"""The watchtower: figures for Prometheus, traces for OpenTelemetry. The only room that imports their libraries.

Sees methods, kinds, reasons, counts and times; never an identity, a card, a member, a request id or a message's body.
"""
