"""Reports: `model` is the frozen result of a run, the other modules are views of it."""
