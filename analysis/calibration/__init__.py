"""How often the statements of a study are wrong, and how often they are made: measured on made-up studies."""
