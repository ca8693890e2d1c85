"""Why a record was flagged: the columns to blame, and what was expected of them."""
