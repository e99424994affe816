"""Who may be called, when, how often and how many: the guardrails of a batches root.

A policy is part of `reconciler.yaml` and reviewed like everything else. Rules are pure functions
that look at one launch and say what they find; nothing here opens a file or asks anybody.
"""
