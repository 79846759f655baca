"""Make a checked plan from a configuration and modules, and a Hamilton driver from the plan."""
