"""Networks and containers of a lab's engines, through the Docker SDK.

This runs where the worker runs, because that is where the engines' sockets are: Python 3.9, and no
third-party package but pyroute2 and the SDK, which come over the call channel.
"""
