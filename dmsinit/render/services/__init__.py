"""services/NAME.toml: read, checked, and made the services of the Plan."""
