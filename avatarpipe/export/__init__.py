"""Avatars as files that other programs open."""
