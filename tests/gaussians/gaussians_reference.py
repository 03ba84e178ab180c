"""A dense, slow compositor in plain torch with autograd: what the renderers must reproduce.

Written from the papers' equations in one dtype (float64 in the tests); every Gaussian is evaluated at
every pixel of its tiles, one after the other.
"""

import math

import torch

from avatarpipe.gaussians.harmonics import sh_colors


def rotation_matrices(quats):
    q = quats / quats.norm(dim=1, keepdim=True)
    imaginary = q[:, 1:]
    zero = torch.zeros_like(q[:, 0])
    x, y, z = imaginary.unbind(1)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    eye = torch.eye(3, dtype=q.dtype)
    return eye + 2 * q[:, :1, None] * skew + 2 * skew @ skew


def tile_mask(center, radius, width, height):
    """(H, W) pixels of the 16-pixel tiles that centre -+ radius overlaps."""
    spans = []
    for c, r, size in zip(center.tolist(), radius.tolist(), (width, height), strict=True):
        tiles = torch.arange(size) // 16
        low, high = int((c - r) // 16), int(-(-(c + r) // 16))
        spans.append((tiles >= low) & (tiles < high))
    return spans[1][:, None] & spans[0][None, :]


def surfel_weight(mean, quat_matrix, scale, w2c, K, pixels):
    """Squared distance (H, W) in units of sigma, centre and radius, of one disc; None if degenerate."""
    axes = w2c[:3, :3] @ quat_matrix
    position = w2c[:3, :3] @ mean + w2c[:3, 3]
    M = K @ torch.stack([axes[:, 0] * scale[0], axes[:, 1] * scale[1], position], dim=1)
    sign = torch.tensor([1, 1, -1.0], dtype=M.dtype)
    weight = sign / (sign * M[2] ** 2).sum()
    center = torch.stack([(weight * M[0] * M[2]).sum(), (weight * M[1] * M[2]).sum()])
    extent = center**2 - torch.stack([(weight * M[0] ** 2).sum(), (weight * M[1] ** 2).sum()])
    radius = torch.ceil(3.33 * extent.clamp_min(1e-4).sqrt()).detach()
    h_u = pixels[..., :1] * M[2] - M[0]
    h_v = pixels[..., 1:] * M[2] - M[1]
    zeta = torch.linalg.cross(h_u, h_v)
    s = zeta[..., :2] / zeta[..., 2:]
    on_screen = 2 * ((pixels - center) ** 2).sum(-1)
    return torch.minimum((s**2).sum(-1), on_screen), center, radius, M


def ellipsoid_weight(mean, quat_matrix, scale, w2c, K, pixels, opacity):
    """As surfel_weight, for one 3D Gaussian with 0.3 pixel^2 of blur."""
    height, width = pixels.shape[:2]
    x, y, z = w2c[:3, :3] @ mean + w2c[:3, 3]
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    tx = (x / z).clamp(-cx / fx - 0.15 * width / fx, (width - cx) / fx + 0.15 * width / fx)
    ty = (y / z).clamp(-cy / fy - 0.15 * height / fy, (height - cy) / fy + 0.15 * height / fy)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * tx / z, zero, fy / z, -fy * ty / z]).reshape(2, 3)
    root = J @ w2c[:3, :3] @ quat_matrix @ torch.diag(scale)
    cov = root @ root.T + 0.3 * torch.eye(2, dtype=mean.dtype)
    center = torch.stack([fx * x / z + cx, fy * y / z + cy])
    reach = min(3.33, max(0.0, 2 * math.log(opacity.item() * 255)) ** 0.5)
    radius = torch.ceil(reach * cov.diagonal().sqrt()).detach()
    d = pixels - center
    return ((d @ torch.linalg.inv(cov)) * d).sum(-1), center, radius


def shades(cloud, w2c):
    """Depth, facing normal, colour and features (N, K) as one camera sees them."""
    matrices = rotation_matrices(cloud.quats)
    position = cloud.means @ w2c[:3, :3].T + w2c[:3, 3]
    axis = torch.full((len(cloud),), 2) if cloud.kind == "surfel" else cloud.scales.argmin(1)
    normals = matrices[torch.arange(len(cloud)), :, axis]
    toward = -((normals @ w2c[:3, :3].T) * position).sum(1, keepdim=True)
    normals = normals * torch.where(toward > 0, 1.0, -1.0)
    eye = -w2c[:3, :3].T @ w2c[:3, 3]
    colors = cloud.colors if cloud.sh is None else sh_colors(cloud.sh, cloud.means - eye)
    parts = [position[:, 2:], normals, colors]
    return torch.cat(parts if cloud.features is None else [*parts, cloud.features], dim=1)


def render_view(cloud, w2c, K, width, height, near, far, maps):
    """(image (H, W, K), alpha, distortion, median (H, W), radii (N,)) of one camera.

    maps: dict that receives each surfel's splat-to-pixel map, to ask for its gradient.
    """
    values = shades(cloud, w2c)
    matrices = rotation_matrices(cloud.quats)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], -1).to(values)
    T = torch.ones(height, width).to(values)
    open_ = torch.ones(height, width, dtype=torch.bool)
    image = torch.zeros(height, width, values.shape[1]).to(values)
    weights, depths, median = [], [], torch.zeros_like(T)
    radii = torch.zeros(len(cloud), dtype=torch.int32)
    for i in torch.argsort(values[:, 0].detach(), stable=True).tolist():
        if not near < values[i, 0] < far:
            continue
        arguments = cloud.means[i], matrices[i], cloud.scales[i], w2c, K, pixels
        opacity, limits = cloud.opacities[i], torch.tensor([width, height])
        if cloud.kind == "surfel":
            squared, center, radius, maps[i] = surfel_weight(*arguments)
        else:
            if opacity < 1 / 255:
                continue
            squared, center, radius = ellipsoid_weight(*arguments, opacity)
        if not ((center + radius > 0) & (center - radius < limits) & (radius > 0)).all():
            continue
        radii[i] = int(radius.max())
        alpha = (opacity * torch.exp(-squared / 2)).clamp_max(0.999)
        seen = tile_mask(center, radius, width, height) & (alpha >= 1 / 255) & open_
        stop = seen & (T * (1 - alpha) <= 1e-4)
        open_ = open_ & ~stop
        alpha = torch.where(seen & ~stop, alpha, torch.zeros_like(alpha))
        weight = alpha * T
        median = torch.where((T > 0.5) & (alpha > 0), values[i, 0], median)
        image = image + weight[..., None] * values[i]
        weights.append(weight)
        depths.append(values[i, 0])
        T = T * (1 - alpha)
    distortion = torch.zeros_like(T)
    if weights:
        w, z = torch.stack(weights), torch.stack(depths)
        flat = w.flatten(1)
        distortion = (flat * ((z[:, None] - z[None]).abs() @ flat)).sum(0).reshape(T.shape)
    return image, 1 - T, distortion, median, radii


def render_reference(
    cloud, viewmats, Ks, width, height, background, near=0.01, far=100.0, maps=None
):
    """The fields of a Rendering as a dict, in the dtype of the cloud."""
    maps = {} if maps is None else maps
    views = [
        render_view(cloud, w2c, K, width, height, near, far, maps)
        for w2c, K in zip(viewmats, Ks, strict=True)
    ]
    image, alpha, distortion, median, radii = (
        torch.stack(parts) for parts in zip(*views, strict=True)
    )
    alpha = alpha[..., None]
    return {
        "rgb": image[..., 4:7] + (1 - alpha) * background,
        "alpha": alpha,
        "depth": image[..., :1] / alpha.clamp_min(1e-10),
        "median_depth": median[..., None],
        "normals": image[..., 1:4],
        "distortion": distortion[..., None],
        "features": image[..., 7:],
        "radii": radii,
    }
