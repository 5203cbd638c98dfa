"""The storages of Optuna that hold studies: a journal file and a database."""
