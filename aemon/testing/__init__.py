"""What a package that adds a kind of source tests it with: the suite that our own kinds pass.

It needs pytest, which aemon itself does not.
"""

import pytest

pytest.register_assert_rewrite("aemon.testing.replayable_contract", "aemon.testing.stream_contract")
