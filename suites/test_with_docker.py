"""The engines are there, and what a person sees who pings in their containers is the truth.

The last of the suites by its name: cells are then sent in the order that they have without Docker.
"""


def test_docker_ping(docker_ping):
    """`docker exec SRC ping DST` says what the sweep says of the pair."""
    agree, said = docker_ping
    assert agree, said


def test_docker_engine(docker_engine):
    """Each host's container engine answers; its containers go on without it, and are tested."""
    answers, said = docker_engine
    assert answers, said
