"""Layered avatars after LayerGS (Xu and Dingliana 2026): body and garment as two sets of surfels, trained in three stages.

single: everything as one layer, whose coarse garment mesh tells body and garment apart.
inner:  the body, with what the garment hides completed; the garment frozen.
outer:  the garment; the body frozen.
"""
