"""How fast the reconciler is, as ratios against limits measured in the same run."""
