"""The lean graph: fewer operators, the same answers but for an exact residual, and a text's numbers still its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_static

from models.errors import CheckpointError
from models.export import export_fp32, token_ids
from models.graph import channel_ranges, exact_residuals, lean, reads, smooth
from models.onnx_backend import OUTPUTS, OnnxClassifier, open_session
from models.registry import ONNX, read_manifest, write_manifest
from tests.models.tiny_checkpoint import SENTENCES

Inputs = dict[str, np.ndarray]


class Texts:
    """Feeds the quantiser one text after another."""

    def __init__(self, ids: list[list[int]]) -> None:
        self.left = iter(ids)

    def get_next(self) -> Inputs | None:
        row = next(self.left, None)
        return None if row is None else {"input_ids": np.asarray([row]), "attention_mask": np.ones((1, len(row)), int)}


def quantised(tiny: Path, out: Path, keep: str = "no such part") -> None:
    """What ONNX Runtime's quantiser makes of the fused graph, products whose name has `keep` in it left in fp32.

    The fused graph lies beside it; one that is there already is taken as it is.
    """
    fused = out.with_suffix(".fp32.onnx")
    if not fused.exists():
        export_fp32(tiny, fused)
    model = onnx.load(fused)
    for node in model.graph.node:
        if node.domain == "com.microsoft":
            model.graph.value_info.append(onnx.helper.make_tensor_value_info(node.output[0], 1, None))
    onnx.save(model, fused)
    stay = [node.name for node in model.graph.node if "encoder" not in node.name or keep in node.name]
    quantize_static(
        str(fused),
        str(out),
        Texts(token_ids(tiny, SENTENCES, 48)),
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=stay,
        per_channel=True,
        reduce_range=True,  # as the export: on AVX2 without VNNI eight bits overflow
        weight_type=QuantType.QInt8,
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"], "DefaultTensorType": 1},
    )


def batches(tiny: Path) -> list[Inputs]:
    return list(iter(Texts(token_ids(tiny, SENTENCES, 48)).get_next, None))


@pytest.fixture(scope="module")
def graphs(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The int8 graph of the tiny checkpoint as the quantiser leaves it, and its lean form with and without mask."""
    folder = tmp_path_factory.mktemp("graphs")
    quantised(tiny, folder / "plain.onnx")
    for name, drop_mask in (("masked", False), ("lean", True)):
        model = onnx.load(folder / "plain.onnx")
        lean(model, drop_mask)
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")
    return folder


def kinds(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def answers(path: Path, ids: list[list[int]], width: int | None = None) -> np.ndarray:
    """Logits of each text, one text at a time, or padded to `width` in one batch."""
    session = open_session(path)
    masked = len(session.get_inputs()) == 2

    def run(rows: list[list[int]], columns: int) -> np.ndarray:
        array = np.zeros((len(rows), columns), dtype=np.int64)
        mask = np.zeros_like(array)
        for place, row in enumerate(rows):
            array[place, : len(row)], mask[place, : len(row)] = row, 1
        inputs: Inputs = {"input_ids": array, **({"attention_mask": mask} if masked else {})}
        return np.concatenate(session.run(list(OUTPUTS), inputs), axis=1)

    return run(ids, width) if width else np.concatenate([run([row], len(row)) for row in ids])


def test_every_int8_product_is_one_operator_with_its_bias(graphs: Path) -> None:
    before, after = kinds(graphs / "plain.onnx"), kinds(graphs / "lean.onnx")
    assert before["SkipLayerNormalization"] == 4 and before["BiasGelu"] == 2
    assert after["MatMulIntegerToFloat"] == 12
    assert not {"SkipLayerNormalization", "BiasGelu"} & set(after)
    # One for what each product reads; queries, keys and values read the same.
    assert after["QuantizeLinear"] == 8 and after["LayerNormalization"] == 5
    products = [n for n in onnx.load(graphs / "lean.onnx").graph.node if n.op_type == "MatMulIntegerToFloat"]
    assert all(len(node.input) == 7 for node in products)


@pytest.mark.parametrize("form", ["masked", "lean"])
def test_only_the_exact_residual_changes_an_answer(tiny: Path, graphs: Path, form: str) -> None:
    model = onnx.load(graphs / "plain.onnx")
    exact_residuals(model)
    onnx.save(model, graphs / "exact.onnx")
    ids = token_ids(tiny, SENTENCES, 48)
    found = answers(graphs / f"{form}.onnx", ids)
    np.testing.assert_allclose(found, answers(graphs / "exact.onnx", ids), rtol=0, atol=1e-4)
    assert np.corrcoef(found.ravel(), answers(graphs / "plain.fp32.onnx", ids).ravel())[0, 1] > 0.99


def test_what_is_added_to_a_layers_result_was_not_rounded(graphs: Path) -> None:
    graph = onnx.load(graphs / "lean.onnx").graph
    unpacked = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    assert not any(unpacked.intersection(node.input) for node in graph.node)


def test_with_its_mask_the_graph_still_takes_padding(tiny: Path, graphs: Path) -> None:
    ids = token_ids(tiny, SENTENCES, 48)
    alone, padded = answers(graphs / "masked.onnx", ids), answers(graphs / "masked.onnx", ids, 48)
    np.testing.assert_allclose(alone, padded, rtol=0, atol=1e-4)


def test_texts_of_one_length_score_as_each_does_alone(tiny: Path, graphs: Path) -> None:
    ids = [row[:9] + row[-1:] for row in token_ids(tiny, SENTENCES, 48) if len(row) >= 10]
    assert len(ids) > 4
    np.testing.assert_allclose(
        answers(graphs / "lean.onnx", ids, 10), answers(graphs / "lean.onnx", ids), rtol=0, atol=1e-5
    )


def test_opening_it_brings_no_slow_fusion_back(graphs: Path, tmp_path: Path) -> None:
    import onnxruntime

    from models.onnx_backend import SLOWER, session_options

    options = session_options()
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    onnxruntime.InferenceSession(
        str(graphs / "lean.onnx"), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(SLOWER)
    )
    opened = kinds(tmp_path / "opened.onnx")
    assert opened["MatMulIntegerToFloat"] == 12 and not {"SkipLayerNormalization", "BiasGelu"} & set(opened)


def test_the_backend_serves_either_form(own: Path, graphs: Path) -> None:
    found = []
    for form in ("plain", "lean"):
        (own / ONNX).write_bytes((graphs / f"{form}.onnx").read_bytes())
        manifest = write_manifest(own, read_manifest(own))
        found.append(OnnxClassifier.load(own, manifest, threads=2).head_logits(SENTENCES).topics)
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.99


def test_products_that_stay_in_fp32_are_left_alone(tiny: Path, tmp_path: Path) -> None:
    quantised(tiny, tmp_path / "part.onnx", keep="layer.0")
    model = onnx.load(tmp_path / "part.onnx")
    lean(model)
    onnx.save(model, tmp_path / "lean.onnx")
    found = kinds(tmp_path / "lean.onnx")
    assert found["MatMulIntegerToFloat"] == 6 and found["MatMul"] >= 6
    ids = token_ids(tiny, SENTENCES, 48)
    found_logits, plain = answers(tmp_path / "lean.onnx", ids), answers(tmp_path / "part.onnx", ids)
    assert np.corrcoef(found_logits.ravel(), plain.ravel())[0, 1] > 0.99


def test_a_graph_without_int8_products_is_refused(tiny: Path, tmp_path: Path) -> None:
    export_fp32(tiny, tmp_path / "fp32.onnx")
    with pytest.raises(CheckpointError, match="no int8 products"):
        lean(onnx.load(tmp_path / "fp32.onnx"))


def with_outliers(model: onnx.ModelProto) -> None:
    """One channel of each norm that reaches thirty times further, read by small weights, as encoders have."""
    read = {product for products in reads(model).values() for product in products}
    small = {node.input[1] for node in model.graph.node if node.name in read}
    for item in model.graph.initializer:
        values = onnx.numpy_helper.to_array(item).copy()
        if item.name.endswith(("LayerNorm.weight", "LayerNorm.bias")):
            values[3] *= 30
        elif item.name in small and len(values) == 32:
            values[3] /= 30
        item.CopyFrom(onnx.numpy_helper.from_array(values, item.name))


def test_smoothing_changes_nothing_in_fp32_and_much_in_int8(tiny: Path, tmp_path: Path) -> None:
    export_fp32(tiny, tmp_path / "rough.fp32.onnx")
    model = onnx.load(tmp_path / "rough.fp32.onnx")
    with_outliers(model)
    onnx.save(model, tmp_path / "rough.fp32.onnx")
    read = reads(model)
    # Two layers: what queries, keys and values read, what attention gives out, and the two parts of the feed-forward.
    assert sorted(len(products) for products in read.values()) == [1, 1, 1, 1, 1, 1, 3, 3]
    smooth(model, channel_ranges(model, read, batches(tiny)))
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "even.fp32.onnx")
    # What attention gives out is evened out through the values, at no cost: six multiplications for eight tensors.
    assert kinds(tmp_path / "even.fp32.onnx")["Mul"] - kinds(tmp_path / "rough.fp32.onnx")["Mul"] == 6
    ids = token_ids(tiny, SENTENCES, 48)
    exact = answers(tmp_path / "rough.fp32.onnx", ids)
    np.testing.assert_allclose(answers(tmp_path / "even.fp32.onnx", ids), exact, rtol=0, atol=1e-3)
    errors = {}
    for form in ("rough", "even"):
        quantised(tiny, tmp_path / f"{form}.onnx")
        lowered = onnx.load(tmp_path / f"{form}.onnx")
        lean(lowered)
        onnx.save(lowered, tmp_path / f"{form}.onnx")
        errors[form] = float(np.sqrt(np.square(answers(tmp_path / f"{form}.onnx", ids) - exact).mean()))
    assert errors["even"] < 0.7 * errors["rough"]


def test_products_that_stay_in_fp32_are_not_smoothed(tiny: Path, tmp_path: Path) -> None:
    export_fp32(tiny, tmp_path / "fp32.onnx")
    found = reads(onnx.load(tmp_path / "fp32.onnx"), keep=["layer.0"])
    assert len(found) == 4 and all("layer.1" in name for names in found.values() for name in names)
