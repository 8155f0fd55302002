"""The protos are the manual of the API: every element is explained, and the rules of the house hold in all of them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import descriptor_pb2 as d

from coalition.domain.reasons import Reason
from protos.lint import PROTOS, compile_image

INT64 = d.FieldDescriptorProto.TYPE_INT64
READS = ("Get", "List", "Find")
CARRIERS = ("SubmitBatch", "Stream")  # their operations carry the request_id


@dataclass(frozen=True, slots=True)
class Element:
    """A service, rpc, message, field, oneof, enum or value, with its comment."""

    name: str
    what: object
    comment: str


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[d.FileDescriptorProto]:
    """Our files, compiled with their comments."""
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("coalition/**/*.proto"))
    image = d.FileDescriptorSet.FromString(compile_image(names, tmp_path_factory.mktemp("image")).read_bytes())
    ours = [file for file in image.file if file.name in names]

    assert len(ours) == 9
    return ours


@pytest.fixture(scope="module")
def elements(files) -> list[Element]:
    """Every element of our files."""
    return [element for file in files for element in walk(file)]


@pytest.fixture(scope="module")
def messages(files) -> dict[str, d.DescriptorProto]:
    """Every message by its name."""
    return {message.name: message for file in files for message in file.message_type}


@pytest.fixture(scope="module")
def calls(files) -> list[tuple[str, d.MethodDescriptorProto]]:
    """Every rpc with its service."""
    return [(service.name, rpc) for file in files for service in file.service for rpc in service.method]


def walk(file: d.FileDescriptorProto) -> Iterator[Element]:
    """Every element of a file; the numbers of the paths are those of descriptor.proto."""
    comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    children: tuple[tuple[int, Iterable[Any], tuple[tuple[str, int], ...]], ...] = (
        (6, file.service, (("method", 2),)),
        (4, file.message_type, (("field", 2), ("oneof_decl", 8))),
        (5, file.enum_type, (("value", 2),)),
    )
    for number, parents, kinds in children:
        for index, parent in enumerate(parents):
            yield Element(parent.name, parent, comments.get((number, index), ""))
            for kind, inner in kinds:
                for place, child in enumerate(getattr(parent, kind)):
                    if child.name.startswith("_"):
                        continue  # the oneof protoc makes for an optional field is not in the source
                    comment = comments.get((number, index, inner, place), "")
                    yield Element(f"{parent.name}.{child.name}", child, comment)


def fields_of(message: d.DescriptorProto) -> dict[str, d.FieldDescriptorProto]:
    return {field.name: field for field in message.field}


def test_every_element_is_explained(elements):
    bare = [element.name for element in elements if not element.comment.strip()]

    assert bare == []
    assert len(elements) > 400


def test_every_error_named_in_the_manual_is_one_we_answer(elements):
    """A client programmes against these names; a misspelt one never comes."""
    named = {
        (element.name, word)
        for element in elements
        if isinstance(element.what, d.ServiceDescriptorProto | d.MethodDescriptorProto)
        for tail in re.findall(r"Errors.*", element.comment, flags=re.DOTALL)
        for word in re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", tail)
    }

    assert {(name, word) for name, word in named if word not in Reason.__members__} == set()
    assert len(named) > 100


def test_every_write_carries_a_request_id(calls, messages):
    for service, rpc in calls:
        if rpc.name.startswith(READS) or rpc.name in CARRIERS:
            continue
        field = fields_of(messages[rpc.input_type.rpartition(".")[2]]).get("request_id")

        assert field is not None, f"{service}.{rpc.name}"
        assert field.number == 1, f"{service}.{rpc.name}"


def test_every_write_says_it_is_idempotent(calls, elements):
    told = {element.name: element.comment for element in elements}
    for service, rpc in calls:
        if not rpc.name.startswith(READS):
            assert "Idempotent by" in " ".join(told[f"{service}.{rpc.name}"].split()), f"{service}.{rpc.name}"


def test_every_list_has_pages(calls, messages):
    for service, rpc in calls:
        if rpc.name.startswith("List"):
            asked = fields_of(messages[rpc.input_type.rpartition(".")[2]])
            answered = fields_of(messages[rpc.output_type.rpartition(".")[2]])

            assert {"page_size", "page_token"} <= asked.keys(), f"{service}.{rpc.name}"
            assert "next_page_token" in answered, f"{service}.{rpc.name}"


def test_money_is_int64_minor_units_of_a_named_currency(elements, messages):
    """No float anywhere, and no amount whose currency a reader must guess."""
    comments = {element.name: element.comment for element in elements}
    money = 0
    for message in messages.values():
        for field in message.field:
            comment = comments[f"{message.name}.{field.name}"]
            assert field.type not in (d.FieldDescriptorProto.TYPE_FLOAT, d.FieldDescriptorProto.TYPE_DOUBLE)
            assert field.name.endswith("_minor") == (field.type == INT64 and "minor units" in comment), field.name
            if field.name.endswith("_minor"):
                money += 1
                assert "currency_code" in fields_of(message) or "scheme currency" in comment, field.name

    assert money > 30


def test_personal_fields_are_in_member_service_alone(files, messages):
    """Every other door answers without naming a person. A till may say a phone, to name a wallet by it, and no more."""
    personal = {"name", "phone", "birth_month", "name_masked", "phone_masked"}
    for file in files:
        for service in file.service:
            if service.name == "MemberService":
                continue
            waiting = [name for rpc in service.method for name in (rpc.input_type, rpc.output_type)]
            seen: set[str] = set()
            while waiting:
                name = waiting.pop().rpartition(".")[2]
                if name in messages and name not in seen:
                    seen.add(name)
                    waiting += [field.type_name for field in messages[name].field]
                    fields = fields_of(messages[name])
                    said = {"phone"} if name.endswith("Request") and "payment_code" in fields else set()

                    assert personal & fields.keys() == said, f"{service.name}: {name}"


def test_a_look_up_of_a_person_states_its_purpose(messages):
    for name in ("GetMemberRequest", "FindMemberRequest"):
        assert "purpose" in fields_of(messages[name])


def test_a_looked_up_person_is_masked(messages):
    for name in ("GetMemberResponse", "FindMemberResponse"):
        assert [".coalition.v1.Member"] == [field.type_name for field in messages[name].field]
    assert fields_of(messages["Member"])["profile"].type_name == ".coalition.v1.MaskedProfile"
