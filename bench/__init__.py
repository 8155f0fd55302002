"""What the service reaches on this machine, as ratios against bare baselines measured in the same run."""
