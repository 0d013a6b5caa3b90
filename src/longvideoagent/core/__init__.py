"""What a rollout is: types, trace, protocol and rules. No I/O, no clock, no logging."""
