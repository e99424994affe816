"""Plans, reports and diagnostics as text, JSON and markdown. Each escapes for its own format."""
