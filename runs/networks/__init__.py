"""What stands around the recurrent layers of a trial."""
