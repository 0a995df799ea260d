"""Training on several devices and machines, all of it through tf.distribute.

A replica is a device with its own copy of every variable; a worker is a process, with
one replica for each of its devices. Holds what a step does with several replicas, each
one's share of the batch, and what workers tell each other. How a step computes belongs
in training/.
"""
