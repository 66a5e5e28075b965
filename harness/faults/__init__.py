"""The fault catalogue: ways in which a lab can be wrong, and what is predicted of each."""
