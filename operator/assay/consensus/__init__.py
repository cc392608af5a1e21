"""Yuma Consensus in exact fixed point. Pure - numpy only; no clock, no input or output, no floats."""
