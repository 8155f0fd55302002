#!/usr/bin/env bash
# Run once by the database image, inside an instance that was just made: the roles, with the passwords of the secrets.
# A password reaches the server as psql's variable over the local socket: it is in no argument and in no log
# (log_statement is none).
set -euo pipefail

owner=${POSTGRES_USER:?}
database=${POSTGRES_DB:?}

psql -X -q -v ON_ERROR_STOP=1 -v step=roles -U "$owner" -d "$database" -f /etc/coalition/roles.sql

for role in app settlement auditor; do
    psql -X -q -v ON_ERROR_STOP=1 -v role="coalition_$role" -U "$owner" -d "$database" <<SQL
\set password \`cat /run/secrets/${role}_password\`
ALTER ROLE :"role" PASSWORD :'password';
SQL
done
