"""Types of values in a configuration: durations, schedules, sizes, addresses, templates."""
