"""The training loop, its optimizer and schedule, and what it writes down."""
