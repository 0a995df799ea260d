"""Training: the config, the losses, the step, the state and the loop of a run."""
