"""YAML files: a fast pass that builds plain values, and a slow one that explains what is wrong."""
