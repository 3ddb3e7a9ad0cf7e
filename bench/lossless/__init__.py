"""Are requests lost while pods are changed? Both sides account for each one.

Real kubelets, real containers, real HAProxy, ZooKeeper and kube-proxy. Requests are POSTs with ids of their
own, sent once: neither clients nor proxies try again. The application writes each id down before it answers.
The same operations run *without* the protocol, too: a rig that can't see losses proves nothing.
"""
