"""Makes the harness's options and fixtures known to `pytest suites/`.

Installed, the harness is known to pytest by its entry point, and this line changes nothing; it is
there for a checkout that is not installed, or was before the entry point came.
"""

pytest_plugins = ["harness.plugin"]
