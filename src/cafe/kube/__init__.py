"""The Kubernetes machinery: transport, client, informers, work queue, controllers, leadership.

Own code on aiohttp and msgspec, because no library has the whole set at this cost
(docs/decisions/0002-own-kubernetes-runtime.md).
"""
