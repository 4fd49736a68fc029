"""Compares pytorch_dlcm.py with the reference model of tests/goldens: the loss and every gradient, in float64.

    python check_pytorch_dlcm.py

Documents of one length with different numbers of concepts, both kinds of cross-attention, muP on. Ends with an
assertion where a difference is above 1e-9.
"""

import dataclasses
import pathlib
import sys

import torch

import pytorch_dlcm as peer

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "goldens"))
import cases  # noqa: E402
import reference  # noqa: E402

TOLERANCE = 1e-9
DOCUMENTS, LENGTH, VOCABULARY = 3, 17, 31
# What each kind of cross-attention computes.
MASKS = {"dense": ("completed", "uniform"), "replicated": ("containing", "length")}


def config_of(kind):
    visibility, weighting = MASKS[kind]
    return cases.configured(
        {
            "model.cross_attention.visibility": visibility,
            "model.cross_attention.weighting": weighting,
            "mup.enabled": True,
            "mup.token_base": peer.TOKEN_BASE,
            "mup.concept_base": peer.CONCEPT_BASE,
        }
    )


def settings_of(model, kind):
    token, concept = model["token"], model["concept"]
    token_stack = peer.Stack(token["width"], token["heads"], token["kv_heads"], token["ff"])
    concept_stack = peer.Stack(concept["width"], concept["heads"], concept["kv_heads"], concept["ff"])
    layers = token["encoder_layers"], concept["layers"], token["decoder_layers"]
    ratio = model["boundary"]["tokens_per_concept"]
    return peer.Settings(token_stack, concept_stack, *layers, VOCABULARY, ratio, kind, "whole")


def in_reference_names(name):
    return name.removesuffix(".weight").replace(".", "/")


def peer_gradients(settings, parameters, batch):
    """The loss and the gradients of the peer that holds `parameters`."""
    model = peer.Dlcm(settings, LENGTH).double()
    model.rope_token, model.rope_concept = (
        peer.Rope(LENGTH, stack.head_dim, torch.float64) for stack in (settings.token, settings.concept)
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(parameters[in_reference_names(name)])
    loss = model(*batch)
    loss.backward()
    return loss, {in_reference_names(name): parameter.grad for name, parameter in model.named_parameters()}


def reference_gradients(config, parameters, tokens, targets, b):
    offsets = cases.offsets([LENGTH] * DOCUMENTS)
    batch = reference.Batch(tokens.flatten(), targets.flatten(), offsets, b.flatten())
    loss = reference.step_losses(config, parameters, [batch]).total
    return loss, reference.gradients_of(loss, parameters)


def check(kind):
    config = config_of(kind)
    parameters = cases.leaves(cases.random_parameters(reference.parameter_shapes(config, VOCABULARY), 5))
    tokens = torch.randint(VOCABULARY, (DOCUMENTS, LENGTH + 1))
    b = torch.rand(DOCUMENTS, LENGTH) < 0.3
    b[:, 0] = True
    segments = peer.segments_of(b)
    segments = dataclasses.replace(segments, b=segments.b.double())
    batch = tokens[:, :-1], tokens[:, 1:], segments
    expected_loss, expected = reference_gradients(config, parameters, *batch[:2], b)
    loss, found = peer_gradients(settings_of(config["model"], kind), parameters, batch)
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    differences = [float((found[name] - expected[name]).abs().max()) for name in expected]
    worst = max(abs(float((loss - expected_loss).detach())), *differences)
    assert worst <= TOLERANCE, f"{kind}: differs by {worst:.1e}"
    print(f"{kind}: loss and {len(found)} gradients differ by at most {worst:.1e}")


def main():
    torch.manual_seed(7)
    for kind in MASKS:
        check(kind)


if __name__ == "__main__":
    main()
