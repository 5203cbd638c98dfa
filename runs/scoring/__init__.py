"""What a scorecard needs beside the trials of a study: the speed of a cell and the reach of its gradients, measured."""
