"""The numbered checks of a bundle. Each module is a group that sees every leaf once, in order, and then sums up."""
