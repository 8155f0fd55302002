#!/usr/bin/env bash
# Checks everything in deploy/ without a network, a container engine or a running systemd. `make lint` calls it with
# .venv/bin first on PATH; by hand: PATH="$PWD/.venv/bin:$PATH" deploy/lint.sh
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
# systemd's own scale runs from 0 (nothing is open to the process) to 10; stated in RUNBOOK.md.
exposure_tenths_max=15

hadolint Containerfile
check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
shellcheck ./*.sh

if ! command -v systemd-analyze >/dev/null; then
    echo "deploy/lint.sh: systemd-analyze is missing, the units are not checked" >&2
    exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# verify wants the programs to exist, so the units are read with stand-ins for them.
printf '#!/bin/sh\n' >"$scratch/program"
chmod 755 "$scratch/program"
for unit in systemd/*; do
    sed -e "s#^\(ExecStart=\)[^ ]*#\1$scratch/program#" -e "s#^Documentation=.*#Documentation=man:systemd(1)#" \
        "$unit" >"$scratch/$(basename "$unit")"
done
problems=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$scratch"/coalition-* 2>&1 | grep -F coalition- || true)
if [[ -n $problems ]]; then
    echo "$problems" >&2
    exit 1
fi
for unit in "$scratch"/*.service; do
    if ! systemd-analyze security --no-pager --offline=true --threshold="$exposure_tenths_max" "$unit" \
        >"$scratch/judged" 2>&1; then
        tail -n 1 "$scratch/judged" >&2
        exit 1
    fi
done
for timer in systemd/*.timer; do
    systemd-analyze calendar --iterations=1 "$(sed -n 's/^OnCalendar=//p' "$timer")" >/dev/null
done
