"""The tritonclient adapter and the protocol's facts."""
