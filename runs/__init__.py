"""What executes trials and studies."""
