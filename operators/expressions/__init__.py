"""SQL scalar and aggregate expressions: parsed once, typed, translated to Polars."""
