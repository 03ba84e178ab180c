"""Animatable avatars after MMLPHuman (Zhan et al. 2025): Gaussians whose shape and look follow the pose of the body.

Small networks, spread over the body, turn the pose into smooth coefficients; each Gaussian blends its own free offsets by
them, and linear blend skinning carries it into the pose.
"""
