#!/bin/sh
# Run by PostgreSQL's image once, on an empty data folder: a role that may read results, and nothing
# else. Grafana asks as this one.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$(cat "${READER_PASSWORD_FILE}")" \
  --set owner="${POSTGRES_USER}" --username "${POSTGRES_USER}" --dbname "${POSTGRES_DB}" <<'SQL'
CREATE ROLE aemon_reader LOGIN PASSWORD :'password';
ALTER ROLE aemon_reader SET default_transaction_read_only = on;
ALTER ROLE aemon_reader SET statement_timeout = '30s';
-- Of the tables and views that aemon makes, also of those that come with later versions and months.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON TABLES TO aemon_reader;
SQL
