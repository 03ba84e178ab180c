"""Everything observed of one subject: cameras, frames, images, masks, label maps, body poses, a scan."""
