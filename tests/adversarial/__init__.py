"""The adversarial host: a toy that breaks the rules of time and delivery cheaply, on drawn topologies and events."""
