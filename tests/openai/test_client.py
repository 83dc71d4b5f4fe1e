"""What people do with the client."""

import base64
import json
import math
import struct
import threading

import openai
import pytest

PERU = [{"role": "user", "content": "What is the capital of Peru?"}]
LIMA = "The capital of Peru is Lima."
STORY = [{"role": "user", "content": "Tell me a story about a fox."}]
MODEL = "tritone-tiny"


def ask(client, messages=PERU, **more):
    return client.chat.completions.create(**{"model": MODEL, "messages": messages, "temperature": 0, **more})


def test_models(client):
    (model,) = client.models.list().data
    assert model.id == MODEL
    assert client.models.retrieve(MODEL).max_model_len > 0
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_chat(client):
    answer = ask(client)
    assert answer.choices[0].message.content == LIMA
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.system_fingerprint and answer.id.startswith("chatcmpl-")
    assert answer._request_id


def test_content_parts_and_developer(client):
    parts = [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of Peru?"}]
    messages = [{"role": "user", "content": parts}]
    assert ask(client, messages).choices[0].message.content == LIMA
    ask(client, [{"role": "developer", "content": "Be short."}, *PERU], max_tokens=4)


def test_stream(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == LIMA
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 3
    assert all(c.usage is None for c in chunks[:-1])
    assert len({c.id for c in chunks}) == 1


def test_a_stream_may_be_left(client):
    stream = ask(client, STORY, stream=True, max_tokens=500, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    assert ask(client).choices[0].message.content == LIMA


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit(client, name):
    answer = ask(client, STORY, **{name: 5})
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].finish_reason == "length"


def test_stop(client):
    answer = ask(client, stop=["Peru"])
    assert answer.choices[0].message.content == "The capital of "
    assert answer.choices[0].finish_reason == "stop"


def test_seeds(client):
    def text(seed):
        return ask(client, STORY, temperature=1.5, seed=seed, max_tokens=24).choices[0].message.content

    first = text(7)
    assert text(7) == first
    assert any(text(seed) != first for seed in range(8, 12))


def test_n(client):
    answer = ask(client, STORY, temperature=1.5, seed=7, max_tokens=16, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    second = ask(client, STORY, temperature=1.5, seed=8, max_tokens=16).choices[0].message.content
    assert answer.choices[1].message.content == second
    stream = ask(client, STORY, temperature=1.5, seed=7, max_tokens=16, n=3, stream=True)
    texts = ["", "", ""]
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in answer.choices]


def test_logprobs(client):
    answer = ask(client, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert b"".join(bytes(token.bytes) for token in content).decode() == LIMA
    for token in content:
        assert len(token.top_logprobs) == 3
        assert token.logprob == token.top_logprobs[0].logprob <= 0
        assert sum(math.exp(other.logprob) for other in token.top_logprobs) <= 1.001


def test_json_schema(client):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "maximum": 9}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    format = {"type": "json_schema", "json_schema": {"name": "fox", "schema": schema, "strict": True}}
    value = json.loads(ask(client, STORY, response_format=format, max_tokens=100).choices[0].message.content)
    assert set(value) == {"name", "age"} and value["age"] <= 9 and len(value["name"]) <= 8
    deep = {"type": "string"}
    for _ in range(60):
        deep = {"type": "array", "items": deep}
    format["json_schema"]["schema"] = deep
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, response_format=format)
    assert refused.value.param == "response_format"


def test_completions(client):
    answer = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=0, logprobs=2)
    choice = answer.choices[0]
    assert choice.text and len(choice.logprobs.tokens) == answer.usage.completion_tokens
    assert "".join(choice.logprobs.tokens) == choice.text
    stream = client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == choice.text


def test_embeddings(client):
    texts = ["a fox", "a hen"]
    # The client asks for base64 by itself, and makes numbers of it.
    vectors = client.embeddings.create(model=MODEL, input=texts)
    plain = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    raw = client.embeddings.create(model=MODEL, input="a fox", encoding_format="base64").data[0].embedding
    bytes_ = base64.b64decode(raw)
    first = list(struct.unpack(f"<{len(bytes_) // 4}f", bytes_))
    assert [d.index for d in vectors.data] == [0, 1]
    for a, b in zip(vectors.data[0].embedding, plain.data[0].embedding):
        assert abs(a - b) < 1e-6
    assert max(abs(a - b) for a, b in zip(first, plain.data[0].embedding)) < 1e-6
    assert vectors.usage.prompt_tokens > 0
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input=[[1, 2, 3]])


def test_responses(client):
    whole = client.responses.create(model=MODEL, input=PERU[0]["content"], temperature=0)
    assert whole.output_text == LIMA
    assert whole.status == "completed" and whole.usage.output_tokens > 3
    cut = client.responses.create(model=MODEL, input=STORY, temperature=0, max_output_tokens=16)
    assert cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens"
    events = list(client.responses.create(model=MODEL, input=PERU, temperature=0, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == LIMA
    assert events[-1].response.output_text == LIMA
    with client.responses.stream(model=MODEL, input=PERU, temperature=0) as stream:
        assert stream.get_final_response().output_text == LIMA
    for more in ({"previous_response_id": "resp_1"}, {"store": True}, {"tools": [{"type": "web_search"}]}):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=MODEL, input="x", **more)
        assert refused.value.param == next(iter(more))


def test_tools_are_refused_cleanly(client):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, tools=[tool])
    assert refused.value.param == "tools"
    assert refused.value.type == "invalid_request_error"


def test_error_classes(server):
    with pytest.raises(openai.AuthenticationError):
        ask(server.client(api_key="sk-a-wrong-key"))
    client = server.client()
    with pytest.raises(openai.NotFoundError) as refused:
        ask(client, model="gpt-5")
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, [{"role": "user", "content": "word " * 20_000}])
    assert refused.value.code == "context_length_exceeded"
    for more in ({"temperature": -1}, {"n": 1_000_000}, {"top_p": 2}, {"max_tokens": 0}):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, **more)
        assert refused.value.param == next(iter(more))


def test_a_busy_server_is_asked_again(start):
    server = start("--slots", "1", "--queue", "1")
    busy, answered = [], []

    def one(client):
        try:
            ask(client, STORY, max_tokens=300, extra_body={"ignore_eos": True})
            answered.append(client)
        except (openai.InternalServerError, openai.RateLimitError) as error:
            busy.append(error)

    def at_once(count, **options):
        threads = [threading.Thread(target=one, args=(server.client(**options),)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    at_once(20)
    assert busy and answered
    for error in busy:
        assert error.status_code in (429, 503)
        assert 0 < int(error.response.headers["retry-after-ms"]) <= 30_000
    busy.clear()
    at_once(6, max_retries=100)
    assert not busy


def test_rates_have_an_error_of_their_own(start):
    server = start("--requests-per-minute", "2")
    client = server.client()
    ask(client), ask(client)
    with pytest.raises(openai.RateLimitError) as limited:
        ask(client)
    assert int(limited.value.response.headers["retry-after-ms"]) > 0
