"""Recorded state: the value, its bytes and its storage, in three modules.

`document` is the value and its rules, `codec` its bytes, `file` where they are kept.
"""
