"""Training of the master, on rollouts of the loop that ``lva ask`` and ``lva eval`` run."""
