"""What can be said about a cluster's subnets from its objects alone: glance, account, replay, what-if, fitness.

Pure: objects in, words and numbers out; nothing here reads a cluster, a clock or a file. Invariant: every number comes
from the objects or from the code that commits epochs, never from a second formula.
"""
