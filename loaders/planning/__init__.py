"""Turn a configuration and modules into a checked plan, and the plan into a Hamilton driver."""
