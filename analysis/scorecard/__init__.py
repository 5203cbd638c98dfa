"""The scorecard: one page on one cell, placed among the cells of a study."""
