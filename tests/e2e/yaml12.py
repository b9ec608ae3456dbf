"""YAML as version 1.2 has it (core schema), which the gateway reads: PyYAML by itself takes `on` for true, 1:30 for a
number of minutes and 010 for eight. Keys become texts, as in JSON."""
import re

import yaml


class Loader(yaml.SafeLoader):
    """Without the implicit types of YAML 1.1."""

    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        if any(not isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is no word", node.start_mark)
        texts = [key.value for key, _ in node.value]
        if len(set(texts)) != len(texts):
            raise yaml.constructor.ConstructorError(None, None, "duplicate key", node.start_mark)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


# Source: YAML 1.2.2, 10.3.2 (octal 0o7 is left out: the gateway does not know it either).
for tag, pattern in [
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"),
    ("null", r"~|null|Null|NULL|"),
]:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), None)

Loader.add_constructor("tag:yaml.org,2002:map", lambda self, node: self.construct_mapping(node))
Loader.add_constructor("tag:yaml.org,2002:int",
                       lambda self, node: int(node.value, 16 if node.value.startswith("0x") else 10))
Loader.add_constructor("tag:yaml.org,2002:float", lambda self, node: float(
    node.value.lower().replace(".inf", "inf").replace(".nan", "nan")))


def load(text):
    return yaml.load(text, Loader)
