"""The networks of the code prior: shapes, what each output may depend on, sizes read from weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from sadtalker_ext.motion.code_prior import CODE_WIDTH, FRAMES_A_CODE, HEARING, REACH, Codec, Speaker  # noqa: E402
from sadtalker_ext.motion.visemenet import N_MELS  # noqa: E402

SLOTS, CODES = 3, 8


def codec(**sizes: int) -> Codec:
    torch.manual_seed(1)
    return Codec(**{"columns": 5, "slots": SLOTS, "codes": CODES, "size": 4, "width": 16, **sizes}).eval()


def speaker() -> Speaker:
    torch.manual_seed(2)
    return Speaker(SLOTS, CODES, manners=2, channels=16, width=12, memory=20).eval()


def test_motion_keeps_its_shape_and_one_set_of_codes_stands_for_two_rows():
    net = codec()
    vectors = net.encode(torch.rand(2, 5, 40))
    assert vectors.shape == (2, SLOTS, 4, 20)
    assert net.nearest(vectors).shape == (2, SLOTS, 20)
    assert net(torch.rand(2, 5, 40)).shape == (2, 5, 40)


def test_nearest_is_the_nearest_code():
    net = codec()
    vectors = torch.randn(1, SLOTS, 4, 7)
    codes = net.nearest(vectors)
    for slot in range(SLOTS):
        distances = torch.cdist(vectors[0, slot].T, net.codebook[slot])
        assert torch.equal(codes[0, slot], distances.argmin(1))
    assert torch.equal(net.nearest(net.look_up(codes)), codes)


def test_looked_up_vectors_are_rows_of_the_codebook():
    net = codec()
    codes = torch.randint(CODES, (2, SLOTS, 6))
    assert torch.equal(net.look_up(codes)[1, 2, :, 4], net.codebook[2, codes[1, 2, 4]])


def test_mean_and_scale_normalise_the_motion():
    net = codec()
    motion = torch.rand(1, 5, 20)
    vectors, said = net.encode(motion), net.decode(net.encode(motion))
    net.mean += 3
    net.scale *= 2
    assert torch.allclose(net.encode(motion * 2 + 3), vectors, atol=1e-5)
    assert torch.allclose(net.decode(vectors), said * 2 + 3, atol=1e-5)


def test_neither_direction_sees_further_than_it_says():
    net = codec()
    motion = torch.rand(1, 5, 120, requires_grad=True)
    through = net.decode(net.encode(motion))
    for row in (60, 61):
        (gradient,) = torch.autograd.grad(through[0, :, row].sum(), motion, retain_graph=True)
        seen = gradient[0].abs().sum(0).nonzero()
        assert row - REACH <= int(seen.min())
        assert int(seen.max()) <= row + REACH
        assert int(seen.max()) - int(seen.min()) > REACH


def test_the_listener_hears_no_further_than_it_says():
    net = speaker()
    mel = torch.randn(1, N_MELS, 400, requires_grad=True)
    heard = net.listener(mel)
    assert heard.shape == (1, 12, 100)
    (gradient,) = torch.autograd.grad(heard[0, :, 50].sum(), mel)
    seen = gradient[0].abs().sum(0).nonzero()
    assert int(seen.min()) >= 50 * FRAMES_A_CODE - HEARING
    assert int(seen.max()) < 51 * FRAMES_A_CODE + HEARING


def test_codes_depend_on_no_later_code():
    net = speaker()
    heard = torch.randn(1, 10, 12)
    before, now = torch.randint(CODES, (2, 1, 10, SLOTS))
    logits = net(heard, before, now)
    assert logits.shape == (1, 10, SLOTS, CODES)
    changed = now.clone()
    changed[0, 4, 1] = (changed[0, 4, 1] + 1) % CODES
    other = net(heard, before, changed)
    same = torch.isclose(logits, other, atol=1e-6).all(3)[0]
    assert not same[4, 2]  # a later slot of the same set
    same[4, 2] = True
    assert same.all()
    earlier = before.clone()
    earlier[0, 4, 0] = (earlier[0, 4, 0] + 1) % CODES
    same = torch.isclose(logits, net(heard, earlier, now), atol=1e-6).all(3)[0]
    assert same[:4].all()
    assert not same[4:].any()


@torch.no_grad()
def test_speaking_chooses_slot_by_slot_and_goes_on_where_it_stopped():
    net = speaker()
    heard = torch.randn(1, 30, 12)
    logits, state = net.speak(heard)
    codes = logits.argmax(3)
    assert len(codes[0].unique(dim=0)) > 5
    nothing = torch.full_like(codes, CODES)
    assert torch.allclose(net(heard, nothing, codes), logits, atol=1e-5)
    assert not torch.allclose(net(heard, nothing, nothing), logits, atol=1e-3)
    first, middle = net.speak(heard[:, :11])
    second, end = net.speak(heard[:, 11:], middle)
    assert torch.allclose(torch.cat([first, second], dim=1), logits, atol=1e-5)
    assert torch.allclose(end, state, atol=1e-5)


def test_a_manner_changes_what_is_heard_and_two_mix():
    net = speaker()
    mel = torch.randn(1, N_MELS, 40)
    one, two, both = (net.hear(mel, torch.tensor([share])) for share in ([1.0, 0], [0, 1.0], [0.5, 0.5]))
    assert one.shape == (1, 10, 12)
    assert not torch.allclose(one, two)
    assert torch.allclose(both, (one + two) / 2, atol=0.2)
    assert torch.equal(both, net.hear(mel, torch.tensor([[0.5, 0.5]])))


def test_sizes_are_read_from_weights():
    net, voice = codec(columns=7, width=24), speaker()
    other, second = Codec.from_state(net.state_dict()), Speaker.from_state(voice.state_dict())
    motion = torch.rand(1, 7, 12)
    assert torch.equal(other.eval()(motion), net(motion))
    assert (second.slots, second.codes, second.manners) == (SLOTS, CODES, 2)
    assert second.known(torch.zeros(1, 1, SLOTS, dtype=torch.long)).shape == (1, 1, SLOTS * CODE_WIDTH)


def test_other_weights_are_refused():
    with pytest.raises((KeyError, RuntimeError)):
        Codec.from_state(speaker().state_dict())
    state = dict(codec().state_dict())
    del state["up.weight"]
    with pytest.raises(RuntimeError):
        Codec.from_state(state)
