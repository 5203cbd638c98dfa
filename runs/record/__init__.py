"""What is recorded of a study besides its storage: MLflow, the archive, the facts of a run."""
