"""Pull requests on GitHub: the plan as a comment, the outcome of an apply, drift as one issue.

Nothing here decides what is created. What is read from GitHub (`reviewed`) can only make `apply`
refuse. The token is the job's own; see `rest` for how it is guarded.
"""
