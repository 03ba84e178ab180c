"""Scores of the inner layer: against the networks written out by hand, and the two steps from avatar to table."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_scorers import BLOCKS, MED, PATCH, WIDTH, WORDS, write_clip, write_image_reward
from torch.nn.functional import conv2d, gelu, layer_norm, linear

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.evaluation.clip_score import ClipScore
from avatarpipe.evaluation.image_reward import ImageReward
from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.evaluation.scored_pictures import DEVIATION, MEAN, network_pixels
from avatarpipe.score_files import image_reward_files, score_files
from avatarpipe.sources import sources
from avatarpipe.steps import collect, draw_inner, score
from avatarpipe.tables import read_table

PROMPT = "a Woman wearing pants and a white tank top with black background"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """(folder of ImageReward, folder of CLIP, the checkpoint of the one, the model of the other)."""
    root = tmp_path_factory.mktemp("networks")
    state, model = write_image_reward(root / "reward"), write_clip(root / "clip")
    return root / "reward", root / "clip", state, model


@pytest.fixture
def avatar_file(post, tmp_path, monkeypatch):
    """An avatar.json that loads as the post: its class lives in a test."""
    file = tmp_path / "avatar" / "avatar.json"
    file.parent.mkdir()
    file.write_text("{}")
    monkeypatch.setattr(
        "avatarpipe.avatar.Avatar.load", staticmethod(lambda path, device="cpu": post)
    )
    return file


def attention(x, context, query, key, value, heads):
    """Softmax attention of (B, N, C) queries over (B, M, C) keys and values."""
    q, k, v = (
        linear(source, *weights).unflatten(-1, (heads, -1)).transpose(1, 2)
        for source, weights in ((x, query), (context, key), (context, value))
    )
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def naive_reward(state: dict, pixels: torch.Tensor, ids: list[int]) -> torch.Tensor:
    """The published network by its equations, straight from the tensors of the checkpoint."""

    def both(name):
        return state[f"{name}.weight"], state[f"{name}.bias"]

    def norm(x, name, eps):
        return layer_norm(x, x.shape[-1:], *both(name), eps=eps)

    root = "blip.visual_encoder"
    x = conv2d(pixels, *both(f"{root}.patch_embed.proj"), stride=PATCH).flatten(2).transpose(1, 2)
    x = (
        torch.cat([state[f"{root}.cls_token"].expand(len(x), -1, -1), x], dim=1)
        + state[f"{root}.pos_embed"]
    )
    for k in range(BLOCKS):
        block = f"{root}.blocks.{k}"
        qkv = [
            list(parts)
            for parts in zip(*(t.chunk(3) for t in both(f"{block}.attn.qkv")), strict=True)
        ]
        y = norm(x, f"{block}.norm1", 1e-6)
        x = x + linear(attention(y, y, *qkv, heads=WIDTH // 64), *both(f"{block}.attn.proj"))
        y = gelu(linear(norm(x, f"{block}.norm2", 1e-6), *both(f"{block}.mlp.fc1")))
        x = x + linear(y, *both(f"{block}.mlp.fc2"))
    image = norm(x, f"{root}.norm", 1e-6)

    root = "blip.text_encoder"
    h = state[f"{root}.embeddings.word_embeddings.weight"][ids]
    h = h + state[f"{root}.embeddings.position_embeddings.weight"][: len(ids)]
    h = norm(h, f"{root}.embeddings.LayerNorm", 1e-12).expand(len(pixels), -1, -1)
    for k in range(MED["num_hidden_layers"]):
        layer = f"{root}.encoder.layer.{k}"
        for kind, context in (("attention", h), ("crossattention", image)):
            context = h if kind == "attention" else context
            parts = [both(f"{layer}.{kind}.self.{part}") for part in ("query", "key", "value")]
            mixed = linear(
                attention(h, context, *parts, heads=MED["num_attention_heads"]),
                *both(f"{layer}.{kind}.output.dense"),
            )
            h = norm(mixed + h, f"{layer}.{kind}.output.LayerNorm", 1e-12)
        y = linear(
            gelu(linear(h, *both(f"{layer}.intermediate.dense"))), *both(f"{layer}.output.dense")
        )
        h = norm(y + h, f"{layer}.output.LayerNorm", 1e-12)
    y = h[:, 0]
    for place in (0, 2, 4, 6, 7):
        y = linear(y, *both(f"mlp.layers.{place}"))
    return (y[:, 0] - 0.16717362830052426) / 1.0333394966054072


def word_ids(prompt: str) -> list[int]:
    """[CLS] words [SEP] by the toy vocabulary."""
    return [2, *(5 + WORDS.index(word) for word in prompt.lower().split()), 3]


def test_image_reward_is_its_equations(networks):
    folder, _, state, _ = networks
    network = ImageReward(folder)
    assert network.size == 32 and not network.training
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    found, expected = network(pixels, PROMPT), naive_reward(state, pixels, word_ids(PROMPT))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 1e-2 and (found - network(pixels, "a man")).abs().max() > 2e-3


def test_a_long_prompt_is_cut_where_the_published_code_cuts_it(networks):
    folder, _, state, _ = networks
    pixels = torch.zeros(1, 3, 32, 32)
    ids = [2, *[5 + WORDS.index("man")] * 33, 3]
    found = ImageReward(folder)(pixels, " ".join(["man"] * 50))
    assert torch.allclose(found, naive_reward(state, pixels, ids), rtol=1e-4, atol=1e-4)


def test_clip_score_is_the_clamped_cosine(networks):
    _, folder, _, model = networks
    pixels = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(6))
    letters = [chr(k) for k in range(ord("a"), ord("z") + 1)]
    words = [[*word[:-1], f"{word[-1]}</w>"] for word in PROMPT.lower().split()]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    ids = torch.tensor([[52, *(tokens.index(token) for word in words for token in word), 53]])
    with torch.no_grad():
        image = model.visual_projection(model.vision_model(pixels).pooler_output)
        text = model.text_projection(model.text_model(ids).last_hidden_state[:, -1])
    cosine = (image @ text[0]) / image.norm(dim=1) / text.norm()
    assert (cosine > 0.1).all()
    scorer = ClipScore(folder)
    assert scorer.size == 32
    assert torch.allclose(scorer(pixels, PROMPT), 100 * cosine, atol=1e-3)
    scorer.model.text_projection.weight.data.neg_()
    assert (scorer(pixels, PROMPT) == 0).all()


def test_pixels_are_scaled_cut_and_normalised(tmp_path):
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 32:96] = (255, 128, 0)
    Image.fromarray(image).save(tmp_path / "wide.png")
    found = network_pixels(tmp_path / "wide.png", 32)
    mean, deviation = (np.array(three)[:, None, None] for three in (MEAN, DEVIATION))
    back = found.numpy() * deviation + mean
    assert found.shape == (3, 32, 32)
    assert np.allclose(back[:, :, 4:-4], np.array([1.0, 128 / 255, 0.0])[:, None, None], atol=1e-3)


def test_from_avatar_to_the_table_of_all_metrics(
    avatar_file, post, post_capture, networks, tmp_path
):
    out = tmp_path / "score"
    draw_inner.run(
        draw_inner.Options(
            avatar_file, post_capture, out / "pictures/pictures.json", post.layer_names[0]
        )
    )
    cameras = list(Capture.load(post_capture).cameras("test").names)
    manifest = json.loads((out / "pictures/pictures.json").read_text())
    assert [entry["camera"] for entry in manifest["pictures"]] == cameras
    picture = np.asarray(Image.open(out / "pictures" / manifest["pictures"][0]["file"]))
    assert picture[0, 0].tolist() == [0, 0, 0] and picture.max() > 100

    reward, clip, state, _ = networks
    score.run(
        score.Options(
            out / "pictures/pictures.json", PROMPT, out / "metrics.parquet", str(reward), str(clip)
        )
    )
    table = read_table(out / "metrics.parquet", COLUMNS)
    assert list(table["metric"]) == ["image_reward"] * len(cameras) + ["clip_score"] * len(cameras)
    assert list(table["camera"]) == 2 * cameras
    assert set(table["split"]) == {"test"} and set(table["subject"]) == {"post"}
    first = network_pixels(out / "pictures" / manifest["pictures"][0]["file"], 32)[None]
    assert table["value"][0] == pytest.approx(
        float(naive_reward(state, first, word_ids(PROMPT))), rel=1e-3
    )
    protocol = json.loads((out / "metrics.json").read_text())
    assert (
        protocol["prompt"] == PROMPT
        and f"{reward}/ImageReward.pt" in protocol["provenance"]["inputs"]
    )

    collect.run(collect.Options(tmp_path / "tables/metrics.parquet", (out / "metrics.parquet",)))
    assert "image_reward ↑" in (tmp_path / "tables/summary.md").read_text()


def test_an_avatar_without_the_layer_is_refused(avatar_file, post_capture, tmp_path):
    with pytest.raises(InputError, match="no layer 'underwear'"):
        draw_inner.run(
            draw_inner.Options(avatar_file, post_capture, tmp_path / "p.json", "underwear")
        )


def test_one_score_alone_can_be_asked_for(networks, tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    document = {"subject": "s", "stage": "inner", "split": "test", "layer": "inner"}
    listed = document | {"pictures": [{"camera": "a", "file": "a.png"}]}
    (tmp_path / "pictures.json").write_text(json.dumps(listed))
    options = {"pictures": tmp_path / "pictures.json", "out": tmp_path / "metrics.parquet"}
    score.run(score.Options(prompt="a man", clip=str(networks[1]), **options))
    assert list(read_table(tmp_path / "metrics.parquet")["metric"]) == ["clip_score"]
    for given, says in (
        ({"prompt": "a man"}, "both empty"),
        ({"prompt": " ", "clip": "x"}, "--prompt: empty"),
    ):
        with pytest.raises(InputError, match=says):
            score.run(score.Options(**given, **options))
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"a\.png: truncated or no image"):
        score.run(score.Options(prompt="a man", clip=str(networks[1]), **options))
    for broken, says in (
        (document, "no manifest of pictures"),
        (document | {"pictures": []}, "lists no pictures"),
    ):
        (tmp_path / "pictures.json").write_text(json.dumps(broken))
        with pytest.raises(InputError, match=says):
            score.run(score.Options(prompt="a man", clip=str(networks[1]), **options))


def test_missing_and_wrong_weights_are_named(networks, tmp_path):
    with pytest.raises(
        InputError, match=r"ImageReward\.pt: no such file\. .*hf download zai-org/ImageReward"
    ):
        image_reward_files(tmp_path)
    with pytest.raises(InputError, match=r"config\.json: no such file\. .*hf download laion/CLIP"):
        score_files("", tmp_path)
    state = write_image_reward(tmp_path / "reward")
    file = tmp_path / "reward/ImageReward.pt"
    torch.save({name: value for name, value in state.items() if "crossattention" not in name}, file)
    with pytest.raises(InputError, match=r"not the checkpoint of ImageReward .*crossattention"):
        ImageReward(tmp_path / "reward")
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match=r"ImageReward\.pt: truncated or no checkpoint"):
        ImageReward(tmp_path / "reward")
    write_clip(tmp_path / "clip")
    (tmp_path / "clip/model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="clip: no CLIP in the layout of transformers"):
        ClipScore(tmp_path / "clip")


def imports(file: str) -> list[str]:
    """The modules that a source file names in its import statements."""
    names = []
    for node in ast.walk(ast.parse(Path(file).read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    return names


def test_the_step_loads_nothing_that_its_environment_lacks():
    """What it imports, here without those packages at hand; envs/imagereward.yaml has none of them."""
    barred = (
        "gsplat",
        "smplx",
        "scipy",
        "cv2",
        "numba",
        "skimage",
        "trimesh",
        "diffusers",
        "igl",
        "matplotlib",
    )
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({barred!r})); import avatarpipe.steps.score"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = {
        name.partition(".")[0]
        for file in sources("avatarpipe.steps.score")
        for name in imports(file)
    }
    theirs = {
        "numpy",
        "pandas",
        "PIL",
        "pyarrow",
        "rich",
        "tokenizers",
        "torch",
        "transformers",
        "tyro",
        "avatarpipe",
    }
    assert imported - set(sys.stdlib_module_names) <= theirs
