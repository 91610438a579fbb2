"""A service's replicas as a fleet: new ones are built and proved before the old ones leave."""
