"""The kinds of value a configuration holds: durations, schedules, sizes, addresses, templates."""
