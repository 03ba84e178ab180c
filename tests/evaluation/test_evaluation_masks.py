"""Layer maps and IoU by hand."""

import torch

from avatarpipe.capture.labels import Label, garment_labels
from avatarpipe.evaluation.masks import (
    class_iou,
    layer_map,
    mean_iou,
    rendered_classes,
    truth_classes,
)


def test_layer_map_takes_the_heaviest_layer_where_alpha_is_over_half():
    features = torch.tensor([[[0.6, 0.3], [0.2, 0.5], [0.3, 0.1], [0.0, 0.0]]])
    alpha = features.sum(-1)
    assert layer_map(features, alpha).tolist() == [[1, 2, 0, 0]]


def test_classes_of_more_layers_and_of_labels():
    assert rendered_classes(torch.tensor([0, 1, 2, 3])).tolist() == [0, 1, 2, 2]
    labels = torch.tensor([list(Label)], dtype=torch.uint8)
    assert truth_classes(labels, garment_labels("upper")).tolist() == [[0, 1, 1, 1, 2, 1, 2]]
    assert truth_classes(labels, garment_labels("both")).tolist() == [[0, 1, 1, 1, 2, 2, 2]]


def test_iou_by_hand():
    truth = torch.tensor([0, 0, 1, 1, 2, 2])
    predicted = torch.tensor([0, 1, 1, 1, 1, 2])
    scores = class_iou(predicted, truth)
    assert scores == {"background": 0.5, "body": 0.5, "garment": 0.5}
    assert mean_iou(scores) == 0.5
    assert class_iou(torch.tensor([0, 1]), torch.tensor([0, 1])) == {"background": 1.0, "body": 1.0}


def test_views_without_a_class_have_no_mean():
    assert mean_iou({"background": 1.0, "body": 1.0}) is None
