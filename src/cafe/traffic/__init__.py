"""Traffic: no pod is touched before its traffic is proven gone, and none counts before it is proven back.

Glossary:

*employer*
    What sends requests to pods: a Service, or a pool of a provider (an HAProxy backend, an Envoy cluster, a
    directory of a registry).
*protection*
    A finalizer of an employer on a pod: from there it may still receive requests.
*operation*
    A party's wish that a pod be out of traffic: an update, a scale-in, an eviction, a person.
*drained*
    Every protection is gone, the gate is down, and each employer's adapter has acknowledged the operation.
*published*
    Every expected protection is back: the pod does its work.
"""
