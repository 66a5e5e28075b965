"""The report as one page: `render` writes it; the other modules say what is on it."""
