"""The plan of a study and the storage that records it."""
