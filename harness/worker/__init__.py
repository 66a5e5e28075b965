"""What runs on a machine and holds all privilege there.

Nothing here imports a third-party package but pyroute2, or needs more than Python 3.9, because a
lab host may have no more than that. `calls` is the one module that the controller calls.
"""
