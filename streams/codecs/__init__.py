"""The one decoder: records of any format to physical columns."""
