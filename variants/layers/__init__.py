"""Modules that run a cell over sequences: layers and directions, the native controls, regularisers, checks of a call."""
