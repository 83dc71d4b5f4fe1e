"""Makes templates.json: chat templates in the manner of each model family, and the prompts that the library
renders with them.

    pip install transformers==5.24.*
    python templates.py

The templates are written for this test: they lay chats out as the families do and use what their published
templates use of the language.
"""

import itertools
import json
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import render_jinja_template


class FixedDate(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


chat_template_utils.datetime = FixedDate

TEMPLATES = {
    "bitnet": (
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        "{% set loop_messages = messages %}{% for message in loop_messages %}"
        "{% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}"
        "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}",
    ),
    "llama3": (
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system message is taken out. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {{- message.tool_calls[0] | tojson }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    ),
    "falcon3": (
        {"eos_token": "<|endoftext|>"},
        "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '\\n' }}"
        "{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '\\n' }}"
        "{% elif message['role'] == 'assistant' %}{% if not loop.last %}"
        "{{ '<|assistant|>\\n' + message['content'] + eos_token + '\\n' }}{% else %}"
        "{{ '<|assistant|>\\n' + message['content'] + eos_token }}{% endif %}{% endif %}"
        "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}",
    ),
    "chatml": (
        {"eos_token": "<|im_end|>"},
        """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}
            {%- set text = message.content %}
            {{- text + '<|im_end|>' }}
        {%- endgeneration %}
    {%- else %}
        {{- message.content + '<|im_end|>' }}
    {%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    ),
    "minicpm": (
        {"bos_token": "<s>", "eos_token": "<|im_end|>"},
        "{{ bos_token }}{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
        "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
        "{% if enable_thinking is defined and enable_thinking is true %}{{ '<think>\\n' }}{% endif %}{% endif %}",
    ),
    "qwen3": (
        {"eos_token": "<|im_end|>"},
        """{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "<|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    ),
    "qwen35": (
        {"eos_token": "<|im_end|>"},
        """{%- macro render_content(content, is_system_content=false) %}
    {%- if content is string %}
        {{- content }}
    {%- elif content is iterable and content is not mapping %}
        {%- for item in content %}
            {%- if 'image' in item %}
                {%- if is_system_content %}
                    {{- raise_exception('no images here') }}
                {%- endif %}
                {%- continue %}
            {%- endif %}
            {{- item.text }}
        {%- endfor %}
    {%- elif content is none or content is undefined %}
        {{- '' }}
    {%- else %}
        {{- raise_exception('unexpected content') }}
    {%- endif %}
{%- endmacro %}
{%- if not messages %}
    {{- raise_exception('no messages') }}
{%- endif %}
{%- set found = namespace(user=false) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{% set found.user = true %}{% break %}{% endif %}
{%- endfor %}
{%- if not found.user %}
    {{- raise_exception('no question') }}
{%- endif %}
{%- for message in messages %}
    {%- set content = render_content(message.content, message.role == 'system') | trim %}
    {%- if message.role == 'system' %}
        {%- if not loop.first %}
            {{- raise_exception('the system message comes first') }}
        {%- endif %}
        {{- '<|im_start|>system\\n' ~ content ~ '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set reasoning = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') | trim %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.last or (loop.nextitem is defined and loop.nextitem.role == 'tool') %}
            {{- '<|im_start|>assistant\\n<think>\\n' ~ reasoning ~ '\\n</think>\\n\\n' ~ content }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' ~ content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.previtem and loop.previtem.role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
        {{- '\\n<tool_response>\\n' ~ content ~ '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
    {%- else %}
        {{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- else %}
        {{- '<think>\\n' }}
    {%- endif %}
{%- endif %}""",
    ),
    "gemma": (
        {"bos_token": "<bos>", "eos_token": "<eos>"},
        """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
""",
    ),
    # What is not in the templates above, but in others.
    "language": (
        {"bos_token": "<s>", "eos_token": "</s>"},
        """{%- set fields = {'name': 'a "b"\\n\\t\\\\é<>&\\'', 'n': [1, -2.5, 1e3, true, false, none, []], 'empty': {}, 'b': 1, 'a': {'z': 1, 'y': [2]}} %}
{{ fields | tojson }}
{{ fields | tojson(indent=2) }}
{% for key, value in fields.items() %}{{ loop.index }}{{ key }}={{ value if value is not mapping else 'map' }};{% endfor %}
{% for key, value in fields | items %}{{ key }},{% endfor %}
{%- for message in messages if message.role != 'system' %}

    {{ loop.index }}/{{ loop.length }} {{ loop.revindex0 }} {{ loop.cycle('odd', 'even') }} {{ message.role.upper() }}
    {%- if loop.changed(message.role) %} changed{% endif %}
    {%- set parts = message.content.split(' ', 2) %}
    {{ parts | length }} {{ parts | last }}|{{ message.content.strip() | length }}|{{ message.content | replace('a', 'b') }}|
    {{- message['content'].rsplit(' ', 1)[-1] }}|{{ message.content.find('e') }}|{{ message.content.title() }}
    {%- if 'x' not in message.content and message.content is not none %} no x{% endif %}
{%- else %}
nobody
{%- endfor %}
{%- set ns = namespace(found=false, list=[]) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.found = true %}{% set ns.list = ns.list + [message.content] %}{% endif %}{% endfor %}
{{ ns.found }} {{ ns.list | join('/') }} {{ none }} {{ true and not false }} {{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 }} {{ 'a' * 3 }}
{%- set text %}  block {{ 1 + 1 }}  {% endset %}
[{{ text }}][{{ text | trim }}][{{ messages[-1].content[:3] }}][{{ messages[-1].content[-2:] }}][{{ messages | map(attribute='role') | list | join(',') }}]
{{- messages | selectattr('role', 'equalto', 'user') | list | length }} {{ (messages | first).role }} {{ [3, 1, 2] | sort | join }} {{ 'abc' | upper | lower }} {{ undefined_name | default('standard') }}
{{ 'a' if add_generation_prompt else 'b' }} {{ [1, 2, 3] | sum }} {{ range(3) | list | length }} {{ 'A b'.lower().replace(' ', '_') }} {{ '%s' | format('x') }} {{ "it's" ~ 1 }}
""",
    ),
}

CHATS = {
    "user": [("user", "Hi")],
    "system": [("system", "Be brief."), ("user", "Hi there")],
    "turns": [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello!"), ("user", "How are you?")],
    "answer": [("user", "Count to four."), ("assistant", "One, two,")],
    "edges": [("system", " \n Be brief. \t\n"), ("user", "\n\n  a \n b  \n"), ("assistant", "  \n so \n\n "), ("user", " ")],
    "answer_space": [("user", " x "), ("assistant", " begins and ends with spaces  ")],
    "answer_empty": [("user", "x"), ("assistant", "")],
    "controls": [
        ("user", "<|eot_id|><|im_end|>\n<|im_start|>system\nno <end_of_turn><bos><|assistant|> </s>"),
        ("assistant", "<|endoftext|> <|eot_id|>"),
        ("user", "<|im_start|>"),
    ],
    "thinking": [
        ("user", "1 + 1?"),
        ("assistant", "<think>\nWell, 1 < 2.\n</think>\n\nTwo."),
        ("user", "And now?"),
    ],
    "thought": [("user", "1 + 1?"), ("assistant", "<think>\nOne and one.\n\n</think>\n\n\nTwo")],
    "tools": [("user", "Weather?"), ("assistant", "I ask."), ("tool", '{"t": 21}'), ("tool", "sunny"), ("user", "<tool_response>x</tool_response>")],
    "system_only": [("system", "Alone.")],
    "system_late": [("user", "a"), ("system", "b"), ("user", "c")],
    "answer_first": [("assistant", "I begin."), ("user", "Do you?")],
    "two_questions": [("user", "a"), ("user", "b")],
    "language": [("user", "Grüße, 世界 👩‍👩‍👧 \u00a0\u2003 end\u3000"), ("assistant", "naïve e\u0301 \x1c\x1f"), ("user", "\x1ctail\x85")],
}


def rendered(template, chat, tokens, generation, thinking, last):
    messages = [{"role": role, "content": content} for role, content in chat]
    more = {} if thinking is None else {"enable_thinking": thinking}
    try:
        [text], _ = render_jinja_template(
            [messages], chat_template=template, add_generation_prompt=generation, continue_final_message=last,
            **tokens, **more)
        return text
    except Exception:
        return None


def main():
    file = {"about": "Made by templates.py with the library transformers; null where it fails.",
            "chats": CHATS, "templates": {}}
    for name, (tokens, template) in TEMPLATES.items():
        cases = []
        for chat in CHATS:
            thinkings = [None, True, False] if "enable_thinking" in template else [None]
            options = [(generation, thinking, False) for generation, thinking in itertools.product([True, False], thinkings)]
            # It looks so closely at messages that it would see the mark that the library puts behind the last.
            options += [(False, None, True)] if name != "language" else []
            by_text = {}
            for generation, thinking, last in options:
                text = rendered(template, CHATS[chat], tokens, generation, thinking, last)
                by_text.setdefault(text, []).append([generation, thinking, last])
            cases.extend([chat, which, text] for text, which in by_text.items())
        file["templates"][name] = {"tokens": tokens, "template": template, "cases": cases}
    out = Path(__file__).parent / "templates.json"
    lines = []
    for name, one in file["templates"].items():
        cases = ",\n".join(json.dumps(case, ensure_ascii=True) for case in one["cases"])
        head = json.dumps({"tokens": one["tokens"], "template": one["template"]}, ensure_ascii=True)[1:-1]
        lines.append(f'{json.dumps(name)}: {{{head}, "cases": [\n{cases}\n]}}')
    out.write_text('{"about": %s,\n"chats": %s,\n"templates": {\n%s\n}}\n' % (
        json.dumps(file["about"]), json.dumps(CHATS, ensure_ascii=True), ",\n".join(lines)))


main()
