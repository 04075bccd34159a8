"""Tocsin: streams in, few explained alerts out."""
