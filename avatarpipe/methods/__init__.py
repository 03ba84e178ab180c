"""The method families; each trains avatars from captures."""
