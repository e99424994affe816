"""Lists in files of their own: contacts and do-not-call numbers, wherever they lie."""
