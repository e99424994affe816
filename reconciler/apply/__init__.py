"""Doing what the plan says, exactly once: intent, request, outcome, and finding out.

`engine` runs the loop, `recorder` keeps the records, `sending` talks to the API from worker
threads, `verifier` finds batches whose create got no answer, `lookup` is how both it and the
planner look.
"""
