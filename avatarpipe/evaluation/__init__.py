"""How good an avatar is, in numbers and in pictures, whatever method made it."""
