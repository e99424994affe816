"""Declarative GitOps reconciler for outbound call batches."""

__version__ = "0.1.0"
