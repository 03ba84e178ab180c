"""Body motion from anywhere, in one container: every source's axes, hands, pelvis and frame rate made alike."""
