"""Reading a study: tables, statistics, figures and the report."""
