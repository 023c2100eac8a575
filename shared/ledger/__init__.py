"""The counters of the mailings: what moved is entered with the move, and figures are read from nothing else."""
