"""Tables of a study: what it found, in rows and columns."""
