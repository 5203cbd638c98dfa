"""Modules that run a cell over sequences: layers, controls, options, regularisers, checks of a call."""
