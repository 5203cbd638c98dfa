"""Modules that run a cell over sequences: layers, native controls, options, regularisers, checks of a call."""
