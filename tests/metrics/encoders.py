"""Small ONNX encoders for the tests."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_encoder(
    path,
    *,
    channels=1,
    features=6,
    side="side",
    batch="batch",
    classes=0,
    softmax=False,
    four_dimensional=False,
    external=False,
):
    """Write convolution, ReLU, mean of the pixels; return its kernel and matrix of classes."""
    rng = np.random.default_rng(channels * 100 + features)
    kernel = rng.normal(size=(features, channels, 3, 3)).astype(np.float32)
    matrix = rng.normal(size=(features, max(classes, 1))).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
    ]
    name = "mean" if four_dimensional else "flat"
    shape = [batch, features, 1, 1] if four_dimensional else [batch, features]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    stored = [numpy_helper.from_array(kernel, "kernel")]
    if classes:
        nodes.append(helper.make_node("MatMul", ["flat", "matrix"], ["scores"]))
        last = "scores"
        if softmax:
            nodes.append(helper.make_node("Softmax", ["scores"], ["chances"], axis=1))
            last = "chances"
        outputs.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, [batch, classes]))
        stored.append(numpy_helper.from_array(matrix, "matrix"))
    given = helper.make_tensor_value_info(
        "images", TensorProto.FLOAT, [batch, channels, side, side]
    )
    graph = helper.make_graph(nodes, "encoder", [given], outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = (
        {"save_as_external_data": True, "location": f"{path.name}.data", "size_threshold": 0}
        if external
        else {}
    )
    onnx.save(model, path, **options)
    return kernel, matrix
