"""What configuration is made from: settings, the config volume, names, networks, mounts."""
