"""Every fault turns just the predicted cells red, is named, and heals."""


def test_fault(tried):
    """Cells and causes are as predicted, and all is green again after the undo."""
    assert tried.right, tried.explain()
