"""Specs: from files that people wrote to requests that can be created, or to what is wrong.

`load` finds and reads everything below a batches root; `settings` reads its `reconciler.yaml`;
`schedule` understands start times; `schema` describes both file formats to editors.
"""
