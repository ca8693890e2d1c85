"""Parts for tests: contract suites for kinds of source, a manual clock, a listed source, a receiver.

The kinds of aemon pass the suites, and kinds of other packages must. The suites need pytest, which
aemon itself does not.
"""

import pytest

pytest.register_assert_rewrite("aemon.testing.replayable_contract", "aemon.testing.stream_contract")
