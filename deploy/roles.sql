-- The database roles of coalition, for a PostgreSQL server (15 or newer) that DBAs manage. Four steps, each run by whom
-- it names; every step may be run again. Passwords or certificates are given to the roles by the server's own rules
-- (\password in psql asks for one and sends only its SCRAM verifier); none belongs in this file.
--
--   1. "roles"  as superuser, once a server (ledger and keydb are two servers: once on each)
--   2. as superuser: CREATE DATABASE coalition OWNER coalition_migrator;  on the other server: CREATE DATABASE keydb ...
--   3. `coalition migrate` with COALITION_OWNER_DATABASE_URL and COALITION_KEYDB_OWNER_URL as coalition_migrator
--   4. "ledger" and "keydb" as coalition_migrator, each in the database of that name: what the migrations granted, to
--      read, to compare, to restore after a dump that was taken without privileges
--
--   psql --set=ON_ERROR_STOP=1 --set=step=roles  --dbname=postgres  --file=deploy/roles.sql
--   psql --set=ON_ERROR_STOP=1 --set=step=ledger --dbname=coalition --file=deploy/roles.sql
--
-- A test compares "ledger" with a migrated database, right by right.

SELECT :'step' = 'roles' AS is_roles, :'step' = 'ledger' AS is_ledger, :'step' = 'keydb' AS is_keydb \gset

\if :is_roles
-- begin roles
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['coalition_migrator', 'coalition_app', 'coalition_settlement', 'coalition_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', wanted);
        END IF;
        EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
        -- Passwords travel as SCRAM only; whoever may log in as one of these holds that right by pg_hba.conf.
        EXECUTE format('ALTER ROLE %I SET password_encryption = ''scram-sha-256''', wanted);
    END LOOP;
    -- A process that is stuck must not hold the tills: the sessions of the house set the same or stricter themselves.
    FOREACH wanted IN ARRAY ARRAY['coalition_app', 'coalition_settlement', 'coalition_auditor'] LOOP
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''30s''', wanted);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''5s''', wanted);
    END LOOP;
    ALTER ROLE coalition_auditor SET default_transaction_read_only = on;
    ALTER ROLE coalition_auditor SET statement_timeout = '10min';
END
$$;
-- end roles
\endif

\if :is_ledger
-- begin ledger
-- Only the owner makes anything in this schema.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO coalition_app, coalition_settlement, coalition_auditor;

-- Server and settlement read everything here: nothing in the ledger is in clear that a thief could read.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO coalition_app, coalition_settlement;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO coalition_app, coalition_settlement;
-- But for bank accounts: those are settlement's alone.
REVOKE SELECT ON runs, bank_accounts FROM coalition_app;

-- The journal is append-only: nobody but its owner holds UPDATE, DELETE or TRUNCATE.
GRANT INSERT ON batches, entries, transfers, allocations, requests TO coalition_app, coalition_settlement;
GRANT USAGE ON SEQUENCE journal_number TO coalition_app, coalition_settlement;
-- Whoever follows the journal brings the index it reads by up to now: an owner's right, lent for this alone.
REVOKE ALL ON FUNCTION summarise_transfers(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION summarise_transfers(boolean) TO coalition_app, coalition_settlement;

-- The programme. Agreements are never changed, they get new versions. `lock_only` is a column that nobody writes: an
-- UPDATE right on it is what SELECT ... FOR SHARE of an open window asks for.
GRANT INSERT ON participants, stores, terminals, calendars TO coalition_app;
GRANT UPDATE (state) ON participants, stores, terminals TO coalition_app;
GRANT INSERT ON agreements, agreement_versions, scheme, windows TO coalition_app;
GRANT UPDATE (epoch) ON config_epoch TO coalition_app, coalition_settlement;
GRANT UPDATE (lock_only) ON windows TO coalition_app;
-- A version is never changed, but for holding once others have approved it.
GRANT UPDATE (is_signed) ON agreement_versions TO coalition_app;
GRANT UPDATE (agreements_need_approval) ON scheme TO coalition_app;

-- Value, members and cards: the server alone.
GRANT INSERT, UPDATE ON wallets, cards, lots TO coalition_app;
GRANT INSERT ON holds TO coalition_app;
GRANT UPDATE (is_open, resolved_kind) ON holds TO coalition_app;
-- What a pass was sold as, and what an entry took or earned, never changes; only what is left or came back does.
GRANT INSERT ON passes, pass_visits, points, points_moves, points_draws TO coalition_app;
GRANT UPDATE (visits, principal, is_over, is_open) ON passes TO coalition_app;
GRANT UPDATE (is_returned) ON pass_visits TO coalition_app;
GRANT UPDATE (balance) ON points TO coalition_app;
GRANT UPDATE (given_back, used, ended, is_open) ON points_moves TO coalition_app;
GRANT UPDATE (returned) ON points_draws TO coalition_app;
GRANT INSERT, DELETE ON sale_references TO coalition_app;
GRANT UPDATE (entry_id) ON sale_references TO coalition_app;
GRANT INSERT ON devices, device_seeds, pay_tickets TO coalition_app;
GRANT UPDATE (used_counter, tried_counter, tries, drift) ON devices TO coalition_app;
GRANT UPDATE (tickets_until) ON device_seeds TO coalition_app;
GRANT DELETE ON pay_tickets TO coalition_app;
GRANT INSERT, UPDATE ON members, credentials TO coalition_app;
GRANT INSERT, UPDATE ON pins TO coalition_app;
GRANT INSERT ON member_records TO coalition_app;
GRANT INSERT ON member_acts, disclosures, erasures, member_merges, exports TO coalition_app;
GRANT INSERT, UPDATE ON transits TO coalition_app;
GRANT UPDATE (approver, approve_time) ON disclosures, exports TO coalition_app;
GRANT UPDATE (is_finished) ON erasures TO coalition_app;
GRANT INSERT, UPDATE ON key_versions TO coalition_app;
-- What an erased member leaves goes when its key is gone.
GRANT DELETE ON member_records, device_seeds, pins TO coalition_app;
GRANT INSERT, UPDATE, DELETE ON member_indexes TO coalition_app;

-- The month: settlement alone.
GRANT INSERT, UPDATE ON windows TO coalition_settlement;
GRANT INSERT, UPDATE, DELETE ON net_positions TO coalition_settlement;
GRANT INSERT ON calendars TO coalition_settlement;
-- Who leaves is suspended, and another stands for it.
GRANT UPDATE (state, successor_id) ON participants TO coalition_settlement;
-- What a complaint is about never changes.
GRANT INSERT ON disputes TO coalition_settlement;
GRANT UPDATE (state, awarded_minor, note, proposer, settle_request_id) ON disputes TO coalition_settlement;
-- What members paid of their debts, and what was given up, is added to, never taken back.
GRANT INSERT ON debt_lines TO coalition_settlement;
-- Approvals: asked for by both, decided at settlement's door. Nobody but the owner changes how many must agree.
GRANT INSERT ON approvals, approval_steps TO coalition_app, coalition_settlement;
GRANT UPDATE (state) ON approvals TO coalition_app, coalition_settlement;
GRANT INSERT, DELETE ON approval_offices TO coalition_settlement;
-- Runs: settlement alone. What is due, instructed and told by the bank is added to, never taken back.
GRANT INSERT ON due_lines, runs, run_windows, run_parties, run_files, bank_results, bank_lines, bank_accounts
    TO coalition_settlement;
GRANT UPDATE (state, advanced_minor) ON runs TO coalition_settlement;
GRANT UPDATE (is_held) ON run_windows TO coalition_settlement;
GRANT UPDATE (state, settled_minor) ON run_parties TO coalition_settlement;
GRANT UPDATE, DELETE ON bank_accounts TO coalition_settlement;

-- What sponsors have taken on is held by the tills' server while it sells.
GRANT INSERT, UPDATE ON sponsored_held TO coalition_app;

-- The folds can be deleted and made again by whoever follows.
GRANT INSERT, UPDATE, DELETE ON followers, window_claims, window_volumes TO coalition_app, coalition_settlement;
GRANT INSERT, UPDATE, DELETE ON participant_exposures, caps_reached TO coalition_app, coalition_settlement;
GRANT INSERT, UPDATE, DELETE ON sponsored_bonus, sponsors_reached TO coalition_app, coalition_settlement;
GRANT INSERT, DELETE ON settlement_events TO coalition_app, coalition_settlement;
-- What a participant was told of its cap is not taken back.
GRANT INSERT ON cap_notices TO coalition_app, coalition_settlement;
GRANT INSERT, UPDATE, DELETE ON day_totals, day_limits_reached TO coalition_app;
GRANT INSERT, UPDATE, DELETE ON audit_tiles TO coalition_app;
-- What the audit log has signed, and witnesses after it, is never taken back.
GRANT INSERT ON checkpoints, cosignatures TO coalition_app;

-- What a terminal has signed at the end of its day is only ever added to.
GRANT INSERT ON day_closes TO coalition_app;

-- Auditors verify records they cannot read: no member, no card, no PIN, no wallet, no lot, no hold, no
-- pass, no points.
GRANT SELECT ON batches, entries, transfers, allocations, requests, journal_lines, participants, stores, terminals,
    calendars, agreements, agreement_versions, windows, window_claims, net_positions, followers, scheme, config_epoch,
    disputes, window_volumes, participant_exposures, caps_reached, day_totals, day_limits_reached, day_closes,
    member_debts, shortfalls, debt_lines, audit_tiles, checkpoints, cosignatures, member_acts, disclosures, erasures, key_versions,
    member_merges, transits, exports, approval_bands, approval_offices, approvals, approval_steps, due_lines,
    run_windows, run_parties, run_files, bank_results, bank_lines, settlement_events, cap_notices,
    sponsored_bonus, sponsors_reached, sponsored_held TO coalition_auditor;
-- A run's content holds bank accounts.
GRANT SELECT (run_id, state, maker, prepare_time, collected_minor, paid_minor, advance_minor,
    advance_limit_minor, advanced_minor, content_hash) ON runs TO coalition_app, coalition_auditor;
-- end ledger
\endif

\if :is_keydb
-- begin keydb
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO coalition_app, coalition_settlement;
-- A process looks at the schema's version before it starts.
GRANT SELECT ON alembic_version TO coalition_app, coalition_settlement;
-- A member's key is written once and deleted to erase the member; it is never overwritten. The check of its phone is
-- removed when that changes.
GRANT SELECT, INSERT, DELETE ON member_keys TO coalition_app;
GRANT UPDATE (phone_check) ON member_keys TO coalition_app;
-- end keydb
\endif
