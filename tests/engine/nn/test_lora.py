import pytest
import torch
from torch import nn

from aigc_desktop.engine.nn.lora import (
    LoraShape,
    add_lora,
    load_lora,
    lora_state,
    save_adapter,
)
from aigc_desktop.engine.pretrained.peft_adapter import read_adapter, work_in


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.value, self.out = nn.Linear(8, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 6)

    def forward(self, x):
        return self.out(torch.tanh(self.query(x)) * self.value(x))


def model():
    torch.manual_seed(3)
    return nn.Sequential(Block(), nn.Linear(6, 8), Block())


def learned(targets=("query", "value")):
    """A model with an adapter that is no longer nothing."""
    changed = model()
    add_lora(changed, targets, 2, 6.0)
    torch.manual_seed(5)
    for name, parameter in changed.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    return changed.eval()


X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


def test_a_new_adapter_changes_nothing_and_only_it_learns():
    plain, changed = model(), model()
    names = add_lora(changed, ("query", "value"), 2, 4.0)
    assert names == ["0.query", "0.value", "2.query", "2.value"]
    assert torch.equal(plain(X), changed(X))
    trainable = {name for name, p in changed.named_parameters() if p.requires_grad}
    assert trainable == lora_state(changed).keys() and len(trainable) == 8
    changed(X).sum().backward()
    assert all(p.grad is None for name, p in changed.named_parameters() if name not in trainable)


def test_the_change_is_alpha_by_rank_times_the_product():
    changed = learned(("query",))
    layer = changed[0].query
    change = layer.lora_B.weight @ layer.lora_A.weight * 3.0
    assert torch.allclose(layer(X), X @ (layer.weight + change).T + layer.bias, atol=1e-5)


def test_dropout_works_on_the_change_only_while_learning():
    changed = learned()
    for layer in changed.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.5
    assert torch.equal(changed(X), changed(X))
    changed.train()
    assert not torch.equal(changed(X), changed(X))


def test_saved_read_and_worked_in_it_is_the_same_and_plain_again(tmp_path):
    changed = learned()
    save_adapter(tmp_path, lora_state(changed), LoraShape(("query", "value"), 2, 6.0, 0.1))
    again = model()
    work_in(again, read_adapter(tmp_path))
    assert torch.allclose(again(X), changed(X), atol=1e-5) and not torch.allclose(again(X), model()(X), atol=1e-2)
    assert again.state_dict().keys() == model().state_dict().keys()
    with pytest.raises(ValueError, match="does not fit"):
        work_in(nn.Sequential(Block()), read_adapter(tmp_path))


def test_an_adapter_of_another_model_is_refused():
    changed, other = learned(), model()
    add_lora(other, ("query",), 2, 6.0)
    with pytest.raises(ValueError, match="does not fit"):
        load_lora(other, lora_state(changed))
    with pytest.raises(ValueError, match="no linear layer"):
        add_lora(model(), ("nothing",), 2, 6.0)


@pytest.mark.filterwarnings("ignore")
def test_peft_opens_the_adapter_and_computes_the_same(tmp_path):
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(1)
    base = transformers.BertModel(config, add_pooling_layer=False).eval()
    base.save_pretrained(tmp_path / "base")
    ids = torch.randint(50, (3, 7))
    targets = ("dense", "key", "query", "value")
    add_lora(base, targets, 4, 12.0, 0.1)
    for name, parameter in base.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    base.eval()
    save_adapter(tmp_path, lora_state(base), LoraShape(targets, 4, 12.0, 0.1), str(tmp_path / "base"))
    plain = transformers.BertModel.from_pretrained(tmp_path / "base", add_pooling_layer=False, local_files_only=True)
    theirs = peft.PeftModel.from_pretrained(plain, tmp_path).eval()
    with torch.no_grad():
        ours, other, without = (m(ids).last_hidden_state for m in (base, theirs, plain))
    assert torch.allclose(ours, other, atol=1e-5)
    with torch.no_grad(), theirs.disable_adapter():
        without = theirs(ids).last_hidden_state
    assert not torch.allclose(ours, without, atol=1e-2)
