"""What `reconciler.yaml` says: settings, and the policy of a root."""
