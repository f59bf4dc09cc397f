"""Settings for every test."""

import contextlib
import os
import signal

import pytest
from hypothesis import settings

# Pictures are drawn without a screen, in subprocesses too.
os.environ["MPLBACKEND"] = "Agg"

# Ctrl-C is heard even where the tests were started with it ignored, as in the background.
with contextlib.suppress(ValueError):  # another thread than the main one
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run, and no verdict that hangs on how busy the machine is.
settings.register_profile("reproducible", derandomize=True, deadline=None)
# For a longer look, with new examples each time: --hypothesis-profile=search
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("reproducible")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden")


@pytest.fixture
def update_golden(request):
    """Whether to rewrite the golden files instead of comparing with them."""
    return request.config.getoption("--update-golden")
