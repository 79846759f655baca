"""What the key of a call is made of: arguments, reachable code, environment and library versions."""
