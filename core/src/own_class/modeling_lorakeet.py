"""The class of the model in this folder, whose head no class of transformers has.

    pipeline("text-classification", model=FOLDER, trust_remote_code=True)
    AutoModelForSequenceClassification.from_pretrained(FOLDER, trust_remote_code=True)

It is transformers' own class of the architecture but for the head: logits = out(act(hidden(x))) * deviation + mean. x is what the
architecture's head reads, or the mean of the row's tokens; the hidden layer and the scale of a regression's targets are there where
the run had them. config.json says which: `lorakeet`, and `task_specific_params.lorakeet`.
"""

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.activations import ACT2FN
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput


class LorakeetConfig(PretrainedConfig):
    model_type = "lorakeet"

    def of_architecture(self):
        """The configuration of transformers' own class; `lorakeet` stays in it."""
        said = self.to_dict()
        for name in ["model_type", "architectures", "auto_map", "transformers_version"]:
            said.pop(name, None)
        return AutoConfig.for_model(self.lorakeet["model_type"], architectures=self.lorakeet["architectures"], **said)


class Head(torch.nn.Module):
    """out(act(hidden(x))), where x is what the module is given: vectors, or hidden states whose first is put through the
    architecture's dense layer."""

    def __init__(self, head, width, outputs):
        super().__init__()
        self.last = head["out"]
        self.activation = ACT2FN[head["activation"]] if head["activation"] else torch.nn.Identity()
        if head["dense"]:
            self.dense = torch.nn.Linear(width, width)
        if head["hidden_size"]:
            self.hidden = torch.nn.Linear(width, head["hidden_size"])
        self.add_module(self.last, torch.nn.Linear(head["hidden_size"] or width, outputs, bias=head["bias"]))

    def forward(self, x):
        if hasattr(self, "dense"):
            x = torch.tanh(self.dense(x[:, 0]))
        if hasattr(self, "hidden"):
            x = self.activation(self.hidden(x))
        return getattr(self, self.last)(x)


def mean_of_tokens(states, mask):
    """The mean of each row's hidden states, padding left out."""
    if mask is None:
        return states.mean(dim=1)
    mask = mask.to(states.dtype).unsqueeze(-1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def with_head(native, output):
    """The class `native` with the head that config.json describes, for answers: the run's loss is not a part of it."""

    class WithHead(native):
        def __init__(self, config):
            super().__init__(config)
            head = config.lorakeet["head"]
            if head and head["out"]:
                setattr(self, head["module"], Head(head, config.hidden_size, config.num_labels))

        def forward(self, input_ids=None, attention_mask=None, labels=None, return_dict=None, **inputs):
            if labels is not None:
                raise ValueError("This class answers and has no loss: leave `labels` out.")
            head, inputs = self.config.lorakeet["head"], {"input_ids": input_ids, "attention_mask": attention_mask, **inputs}
            if head and head["mean"]:
                states = self.base_model(**inputs).last_hidden_state
                logits = getattr(self, head["module"])(mean_of_tokens(states, attention_mask))
            else:
                logits = super().forward(**inputs).logits
            run = (self.config.task_specific_params or {}).get("lorakeet", {})
            if run.get("target_mean"):
                scale = {"dtype": logits.dtype, "device": logits.device}
                logits = logits * torch.tensor(run["target_std"], **scale) + torch.tensor(run["target_mean"], **scale)
            return (logits,) if return_dict is False else output(logits=logits)

    # Pipelines know classes by their names.
    WithHead.__name__ = WithHead.__qualname__ = native.__name__
    return WithHead


class OfFolder(PreTrainedModel):
    """What `trust_remote_code` loads; it gives a model of transformers' own class with the head put on."""

    config_class = LorakeetConfig
    family, output = None, None

    @classmethod
    def from_pretrained(cls, folder, *more, config=None, **settings):
        config = (config or LorakeetConfig.from_pretrained(folder)).of_architecture()
        native = cls.family._model_mapping[type(config)]
        return with_head(native, cls.output).from_pretrained(folder, *more, config=config, **settings)


class LorakeetForSequenceClassification(OfFolder):
    family, output = AutoModelForSequenceClassification, SequenceClassifierOutput


class LorakeetForTokenClassification(OfFolder):
    family, output = AutoModelForTokenClassification, TokenClassifierOutput
