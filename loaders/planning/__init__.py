"""From a configuration and modules to a driver: what there would be, whether it fits, what surrounds a run."""
