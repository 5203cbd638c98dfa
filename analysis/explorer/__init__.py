"""A page on which a reader explores the trials of a study, beside its report."""
