"""Parts for tests: contract suites for kinds of source, a manual clock, a listed source, a receiver.

The kinds of aemon pass the suites, and the kinds of other packages must pass them. The suites need
pytest; aemon itself does not need pytest.
"""

import pytest

pytest.register_assert_rewrite("aemon.testing.replayable_contract", "aemon.testing.stream_contract")
