"""Where a worker runs. A new kind of machine is one module here."""
