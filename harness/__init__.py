"""Connectivity test harness for Docker macvlan labs.

Import what you need from the modules; `README.md` has the map of the code.
"""

__version__ = "0.1.0"
