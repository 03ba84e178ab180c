"""What a person is called in a prompt, by the gender of the body."""

PERSON = {"male": "man", "female": "woman", "neutral": "person"}
