#!/bin/sh
# PostgreSQL's image runs this script once, on an empty data folder. The script creates the role that
# Grafana uses, which may only read results.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$(cat "${READER_PASSWORD_FILE}")" \
  --set owner="${POSTGRES_USER}" --username "${POSTGRES_USER}" --dbname "${POSTGRES_DB}" <<'SQL'
CREATE ROLE aemon_reader LOGIN PASSWORD :'password';
ALTER ROLE aemon_reader SET default_transaction_read_only = on;
ALTER ROLE aemon_reader SET statement_timeout = '30s';
-- The role may read all tables and views that aemon makes, also in later versions and months.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON TABLES TO aemon_reader;
SQL
