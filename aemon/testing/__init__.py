"""Test suites for kinds of source: aemon's own kinds pass them, and kinds of other packages must.

The suites need pytest, which aemon itself does not.
"""

import pytest

pytest.register_assert_rewrite("aemon.testing.replayable_contract", "aemon.testing.stream_contract")
