"""The engine of a Ray cluster: the processes of one machine, on each machine that Ray has.

:mod:`.engine` shares tasks out, :mod:`.worker` runs them on a node, :mod:`.cluster` alone imports Ray.
"""
