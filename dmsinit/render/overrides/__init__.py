"""Files of the config volume that replace or extend what templates make."""
