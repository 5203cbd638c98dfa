"""Configuration: typed classes for Hydra, and what a composed configuration means: a trial, a design or a stage."""
