"""What git calls the bytes of a file: two that have the same name are the same."""

from __future__ import annotations

import hashlib


def git_blob(data: bytes) -> str:
    """Give the id of the blob of these bytes, 40 hex digits."""
    name = blob_hash(len(data))
    name.update(data)
    return name.hexdigest()


def blob_hash(size: int) -> hashlib._Hash:
    """Give what the bytes of a file of this size are to be hashed into, for the id of its blob."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
