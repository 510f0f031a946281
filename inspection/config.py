"""Configuration files: YAML read into a typed model, with errors that name file, key and what would be right."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from inspection.errors import InspectionError

Model = TypeVar("Model", bound=BaseModel)


class ConfigInvalid(InspectionError):
    """A configuration file cannot be read, or says something that it must not."""

    code = "config_invalid"


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand only once: the second would silently win."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_config(path: Path, model: type[Model]) -> Model:
    """The model in a YAML file. Raises ConfigInvalid."""
    return validate(read_mapping(path, ", ".join(model.model_fields)), model, str(path))


def read_mapping(path: Path, keys: str = "keys and values") -> dict[str, Any]:
    """The mapping in a YAML file; `keys` says in messages what it should hold. Raises ConfigInvalid."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read ({error.strerror}); give the path of a YAML file") from error
    return parse_mapping(data, str(path), keys)


def parse_mapping(data: bytes, source: str, keys: str = "keys and values") -> dict[str, Any]:
    """The mapping in YAML text; `source` is named in messages. Raises ConfigInvalid."""
    try:
        content = yaml.load(data.decode("utf-8"), _StrictLoader)  # nosec B506  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())
        raise ConfigInvalid(f"{source} is not valid YAML: {what}") from error
    if not isinstance(content, dict):
        raise ConfigInvalid(f"{source} holds no keys; it must be a YAML mapping with {keys}")
    return content


def validate(content: dict[str, Any], model: type[Model], source: str) -> Model:
    """`content` as a model; `source` is named in the message. Raises ConfigInvalid for the first thing wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigInvalid(f"{source}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One sentence on the first thing wrong; an unknown key comes with the nearest valid one."""
    # An unknown key first: where one is misspelt, the right one is missing as well.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = [str(part) for part in first["loc"]]
    where = ".".join(place)
    if first["type"] == "extra_forbidden":
        known = sorted(_model_at(model, place[:-1]).model_fields)
        near = difflib.get_close_matches(place[-1], known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}"
        return f"there is no key {where!r}; {hint}"
    if first["type"] == "missing":
        return f"the key {where!r} is missing"
    said = first["msg"].removeprefix("Value error, ")
    if not place:
        return said
    return f"{where}: {said[0].lower()}{said[1:]}, got {first['input']!r}"


def _model_at(model: type[BaseModel], place: list[str]) -> type[BaseModel]:
    for part in place:
        annotation: Any = model.model_fields[part].annotation if part in model.model_fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        inner = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if not inner:
            break
        model = inner[0]
    return model
