"""Recorded state: the value, its bytes and its storage, apart from each other.

`document` is the value (`overlay`: with a few changes laid over it). `codec` gives its bytes and
reads them, `sound` says what cannot be true and `shape` what has no place there. `file` and
`git_store` are where they are kept, and `merge` is for when somebody else stored meanwhile.
"""
