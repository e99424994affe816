"""The batches API over HTTP: the port `reconciler.ports.BatchApi`, and nothing that decides.

`config` says where and as whom, `client` speaks HTTP (the only module that imports httpx, which is
slow: import it where it is used), `exchange` bounds one request in time and knows whether it left,
`outcome` tells what the end of a create means, `paging` reads moving lists, `models` turns answers
into `reconciler.observed` values, `privacy` keeps people and the token out of every message.
"""
