"""Makes templates.json: small chat templates, each with the features of a well-known model's, and the texts that jinja2
writes for them under transformers' settings (`transformers/utils/chat_template_utils.py`).

    python3 -m venv /tmp/jinja && /tmp/jinja/bin/pip install jinja2==3.1.6 && /tmp/jinja/bin/python make.py
"""

import json
from datetime import datetime, timezone
from pathlib import Path

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """The tag that marks the assistant's words; here it only has a body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
day = datetime(2024, 7, 26, tzinfo=timezone.utc)
environment.globals["strftime_now"] = day.strftime

WARMTH = {
    "type": "function",
    "function": {
        "name": "warmth",
        "description": "How warm it is in a town, in <degrees> & \"words\".",
        "parameters": {
            "type": "object",
            "properties": {
                "town": {"type": "string", "description": "The town's name, e.g. 'Bath'"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": ["integer", "null"], "default": 1},
                "places": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["town"],
        },
    },
}


def said(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = {"id": "call12345", "type": "function", "function": {"name": "warmth", "arguments": {"town": "Bath", "days": 2}}}
PLAIN = [said("user", "Where does she live?"), said("assistant", " At Barton.\n")]
SYSTEM = [said("system", "Be brief; it's 'late'."), *PLAIN, said("user", "And he? 你好 🙂"), said("assistant", "At Delaford.")]
OPEN = SYSTEM[:-1]
THOUGHT = [
    said("user", "What is 2 + 2?"),
    said("assistant", "<think>\nTwo and two.\n</think>\n\nFour."),
    said("user", "And 3 + 3?"),
    said("assistant", "Six.", reasoning_content="Three and three."),
]
TOOLS = [
    said("system", "Use the tools."),
    said("user", "How warm is it in Bath?"),
    said("assistant", None, tool_calls=[CALL]),
    said("tool", "{\"degrees\": 17}", name="warmth", tool_call_id="call12345"),
    said("assistant", "Seventeen degrees."),
    said("user", "Thanks."),
    said("assistant", "You're welcome."),
]
PARTS = [
    said("user", [{"type": "text", "text": " Where "}, {"type": "text", "text": "is it?"}]),
    said("assistant", [{"type": "text", "text": "Here."}]),
]
CHATS = [
    {"messages": PLAIN},
    {"messages": SYSTEM},
    {"messages": OPEN, "add_generation_prompt": True},
]
TOOL_CHATS = [{"messages": TOOLS, "tools": [WARMTH]}, {"messages": TOOLS[:4], "tools": [WARMTH], "add_generation_prompt": True}]

cases = {}


def template(name, source, *chats):
    cases[name] = (source, list(chats))


template("chatml", r"""{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You help.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}""", *CHATS)

template("llama2", r"""{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must alternate user/assistant/user/...') }}{% endif %}{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    *CHATS, {"messages": [said("user", "a"), said("user", "b")]})

template("llama3", r"""{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>

'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>

' }}{% endif %}""", *CHATS)

template("llama31-tools", r"""{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user is defined %}{%- set tools_in_user = true %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|end|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}{{- "Environment: ipython\n" }}{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n"}}
{%- endif %}
{{- "Today Date: " + date_string + "\n\n" }}
{%- if tools is not none and not tools_in_user %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}{{- "<|eot|>" }}
{%- if tools_in_user and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("There is no first message") }}
    {%- endif %}
    {{- '<|start|>user<|end|>\n\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start|>' + message['role'] + '<|end|>\n\n'+ message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("Only single calls!") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start|>assistant<|end|>\n\n' -}}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- "<|python|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' ~ arg_val ~ '"' }}
                {%- if not loop.last %}{{- ", " }}{%- endif %}
            {%- endfor %}
            {{- ")" }}
        {%- else %}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
        {%- endif %}
        {{- "<|eot|>" if builtin_tools is not defined else "<|eom|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start|>ipython<|end|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start|>assistant<|end|>\n\n' }}{%- endif %}
""", *CHATS, *TOOL_CHATS,
    {"messages": TOOLS, "tools": [WARMTH], "names": {"builtin_tools": ["code_interpreter", "warmth", "search"], "date_string": "1 May 2025", "tools_in_user": False}})

template("mistral-v1", r"""{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}""", *CHATS)

template("mistral-v3-tools", r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- Roles alternate, with calls and results between. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported") }}
    {%- endif %}
{%- endfor %}
""", {"messages": TOOLS, "tools": [WARMTH]}, *CHATS,
    {"messages": [*TOOLS[1:2], said("assistant", None, tool_calls=[{**CALL, "id": "call_1"}])]})

template("qwen25-hermes-tools", r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- else %}{{- 'You are kind.' }}{%- endif %}
    {{- "\n\n# Tools\n\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are kind.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}{{- '\n' + message.content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
""", *CHATS, *TOOL_CHATS)

template("qwen3-thinking", r"""{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}{{- '\n' }}{%- endif %}
                {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
                {{- '<tool_call>\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\n<tool_response>\n' + content + '\n</tool_response><|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}
{%- endif %}
""", *CHATS, {"messages": THOUGHT}, *TOOL_CHATS,
    {"messages": OPEN, "add_generation_prompt": True, "names": {"enable_thinking": False}})

template("gemma2", r"""{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}""", *CHATS)

template("gemma3-parts", r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception("Roles must alternate") }}{%- endif -%}
    {%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{'<start_of_turn>model
'}}{%- endif -%}
""", *CHATS, {"messages": PARTS})

template("phi3", r"""{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'user' %}{{'<|user|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>
' + message['content'] + '<|end|>
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}""", *CHATS)

template("phi4-generation", r"""{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') %}{{'<|im_start|>assistant<|im_sep|>'}}{% generation %}{{message['content'] + '<|im_end|>'}}{% endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}""", *CHATS)

template("deepseek-v2", r"""{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '

' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}{{ message['content'] + '

' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}""", *CHATS)

template("deepseek-r1-tools", r"""{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- else %}{% set ns.system_prompt = ns.system_prompt + '\n\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<|User|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['tool_calls'] is defined and message['tool_calls'] is not none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls'] %}{%- if not ns.is_first %}{%- if message['content'] is none %}{{'<|Assistant|><|calls|><|call|>' + tool['type'] + '<|sep|>' + tool['function']['name'] + '\n' + '```json' + '\n' + tool['function']['arguments'] | tojson + '\n' + '```' + '<|end|>'}}{%- else %}{{'<|Assistant|>' + message['content'] + '<|calls|>'}}{%- endif %}{%- set ns.is_first = true -%}{%- endif %}{%- endfor %}{{'<|calls end|>' + eos_token}}{%- elif message['role'] == 'assistant' %}{%- if ns.is_tool %}{{'<|outputs end|>' + message['content'] + eos_token}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<|Assistant|>' + content + eos_token}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<|outputs|><|output|>' + message['content'] + '<|output end|>'}}{%- set ns.is_output_first = false %}{%- else %}{{'\n<|output|>' + message['content'] + '<|output end|>'}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<|outputs end|>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<|Assistant|><think>\n'}}{% endif %}""", *CHATS, *TOOL_CHATS, {"messages": THOUGHT})

template("command-r-tools", r'''{%- macro json_to_python_type(json_spec) %}
{%- set basic = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} %}
{%- if basic[json_spec.type] is defined %}
    {{- basic[json_spec.type] }}
{%- elif json_spec.type == "array" %}
    {{- "List[" + json_to_python_type(json_spec['items']) + "]"}}
{%- elif json_spec.type == "object" %}
    {{- "Dict[str, " + json_to_python_type(json_spec.additionalProperties) + ']'}}
{%- elif json_spec.type is iterable and json_spec.type is not string %}
    {{- "Union[" }}
    {%- for t in json_spec.type %}
        {{- json_to_python_type({"type": t}) }}
        {%- if not loop.last %}{{- "," }}{%- endif %}
    {%- endfor %}
    {{- "]" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro %}
{%- macro old_tool_parser(tools) %}
{%- for tool in tools %}
    {%- if loop.index0 != 0 %}{{- '\n\n' }}{%- endif %}
    {{- '```python\ndef ' + tool.function.name + '(' }}
    {%- for param_name, param_fields in tool.function.parameters.properties|items %}
        {%- if loop.index0 != 0 %}{{- ', '}}{%- endif %}
        {{- param_name + ': ' }}
        {%- if not param_name in tool.function.parameters.required %}
            {{- 'Optional[' + json_to_python_type(param_fields) + '] = None'}}
        {%- else %}
            {{- json_to_python_type(param_fields) }}
        {%- endif %}
    {%- endfor %}
    {{- ') -> List[Dict]:\n    """'}}
    {{- tool.function.description }}
    {%- if tool.function.parameters.properties|length != 0 %}
        {{- '\n\n    Args:\n' }}
        {%- for param_name, param_fields in tool.function.parameters.properties|items %}
            {{- '        ' + param_name + ' (' }}
            {{- '): ' + param_fields.description|default('', true) + '\n' }}
        {%- endfor %}
    {%- endif %}
    {{- '    """\n    pass\n```' }}
{%- endfor %}
{%- endmacro %}
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{%- set loop_messages = messages[1:] %}{%- set system_message = messages[0]['content'] %}{%- else %}{%- set loop_messages = messages %}{%- set system_message = 'Help.' %}{%- endif %}
{{- '<|TURN|><|SYSTEM|>' + system_message }}
{%- if tools %}{{- '\n\n' + old_tool_parser(tools) }}{%- endif %}
{{- '<|END|>' }}
{%- for message in loop_messages %}
    {%- set content = message['content'] %}
    {%- if message.role == 'user' %}
        {{- '<|TURN|><|USER|>' + content.strip() + '<|END|>' }}
    {%- elif message.role == 'system' %}
        {{- '<|TURN|><|SYSTEM|>' + content.strip() + '<|END|>' }}
    {%- elif message.role == 'assistant' and message.tool_calls is defined %}
        {{- '<|TURN|><|CHATBOT|>' }}
        {%- if message.content is defined %}{{- message.content|default('', true)|trim }}{%- endif %}
        {{- '\nAction:\n```json\n[\n' }}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '{\n'|indent(4, first=True) }}
            {{- '"tool_name": "'|indent(8, first=True) + tool_call.name + '",\n' }}
            {{- '"parameters": '|indent(8, first=True) }}
            {%- if tool_call.arguments is defined and tool_call.arguments|length > 0 %}
                {{- tool_call.arguments|tojson(indent=4)|indent(8) }}
                {{- '\n' }}
            {%- else %}
                {{- '{}\n' }}
            {%- endif %}
            {{- '}'|indent(4, first=True) }}
            {%- if not loop.last %}{{- ',\n' }}{%- endif %}
        {%- endfor %}
        {{- "\n]```\n" }}
    {%- elif message.role == 'assistant' %}
        {{- '<|TURN|><|CHATBOT|>' + content.strip() + '<|END|>' }}
    {%- elif message.role == 'tool' %}
        {{- '<|TURN|><|SYSTEM|><results>\nDocument: 0\n' + content + '\n</results><|END|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{-'<|TURN|><|CHATBOT|>'}}{%- endif %}
''', *CHATS, *TOOL_CHATS)

template("zephyr", r"""{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""", *CHATS)

template("granite-tools", r"""{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = "Knowledge Cutoff Date: April 2024.\nToday's Date: " + strftime_now('%B %d, %Y') + ".\nYou are Granite." %}
    {%- if tools and documents %}
        {%- set system_message = system_message + " With both." %}
    {%- elif tools %}
        {%- set system_message = system_message + " With tools." %}
    {%- endif %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\n' }}
{%- if tools %}
    {{- '<|start_of_role|>tools<|end_of_role|>' }}
    {{- tools | tojson(indent=4) }}
    {{- '<|end_of_text|>\n' }}
{%- endif %}
{%- for message in loop_messages %}
    {{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + (message['content'] or '') }}
    {%- if message.tool_calls %}{{- '<|tool_call|>' + message.tool_calls | map(attribute='function') | list | tojson }}{%- endif %}
    {{- '<|end_of_text|>\n' }}
    {%- if loop.last and add_generation_prompt %}
        {{- '<|start_of_role|>assistant' }}
        {%- if controls %}{{- ' ' + controls | tojson()}}{%- endif %}
        {{- '<|end_of_role|>' }}
    {%- endif %}
{%- endfor %}
""", *CHATS, *TOOL_CHATS, {"messages": OPEN, "add_generation_prompt": True, "names": {"controls": {"length": "short", "n": 1.0}}})

template("smollm3", r"""{# Modes of thought. #}
{%- set reasoning_mode = "/think" if enable_thinking | default(true) else "/no_think" -%}
{%- if messages[0].role == "system" -%}
    {%- set system_message = messages[0].content -%}
    {%- if "/no_think" in system_message -%}{%- set reasoning_mode = "/no_think" -%}{%- endif -%}
    {%- set custom = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{{- "<|im_start|>system\n" -}}
{%- if custom -%}{{ custom }}{%- endif -%}
{{- "Reasoning Mode: " + reasoning_mode + "\nToday Date: " -}}
{%- set today = strftime_now("%d %B %Y") -%}
{{- today ~ "\n\n" -}}
{%- if tools -%}
    {%- set ns = namespace(xml_tool_string="You may call functions:\n<tools>\n") -%}
    {%- for tool in tools[:] -%}
        {%- set ns.xml_tool_string = ns.xml_tool_string ~ (tool | string) ~ "\n" -%}
    {%- endfor -%}
    {{- ns.xml_tool_string + "</tools>" -}}
{%- endif -%}
{{- "<|im_end|>\n" -}}
{%- for message in messages -%}
    {%- set content = message.content if message.content is string else "" -%}
    {%- if message.role == "user" -%}
        {{ "<|im_start|>" + message.role + "\n"  + content + "<|im_end|>\n" }}
    {%- elif message.role == "assistant" -%}
        {% generation %}
        {%- if reasoning_mode == "/think" -%}
            {{ "<|im_start|>assistant\n" + content.lstrip("\n") + "<|im_end|>\n" }}
        {%- else -%}
            {{ "<|im_start|>assistant\n" + "<think>\n\n</think>\n" + content.lstrip("\n") + "<|im_end|>\n" }}
        {%- endif -%}
        {% endgeneration %}
    {%- elif message.role == "tool" -%}
        {{ "<|im_start|>" + "user\n"  + content + "<|im_end|>\n" }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {%- if reasoning_mode == "/think" -%}{{ "<|im_start|>assistant\n" }}{%- else -%}{{ "<|im_start|>assistant\n" + "<think>\n\n</think>\n"  }}{%- endif -%}
{%- endif -%}
""", *CHATS, *TOOL_CHATS, {"messages": [said("system", "Short. /no_think"), *PLAIN]}, {"messages": PLAIN, "names": {"enable_thinking": False}})

template("olmo", r"""{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>
' + message['content'] + '
' }}{% elif message['role'] == 'user' %}{{ '<|user|>
' + message['content'] + '
' }}{% elif message['role'] == 'assistant' %}{% if not loop.last %}{{ '<|assistant|>
'  + message['content'] + eos_token + '
' }}{% else %}{{ '<|assistant|>
'  + message['content'] + eos_token }}{% endif %}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>
' }}{% endif %}{% endfor %}""", *CHATS)

template("falcon", r"""{% for message in messages %}{% if not loop.first %}{{ '
' }}{% endif %}{% if message['role'] == 'system' %}{{ 'System: ' }}{% elif message['role'] == 'user' %}{{ 'User: ' }}{% elif message['role'] == 'assistant' %}{{ 'Falcon: ' }}{% endif %}{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}{{ '
' + 'Falcon:' }}{% endif %}""", *CHATS)

template("yi", r"""{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ system_message }}{% endif %}{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|im_start|>user\n' + content + '<|im_end|>\n<|im_start|>assistant\n' }}{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}""", *CHATS)

template("index-loop", r"""{% for i in range(0, messages|length) %}{% set m = messages[i] %}{{ '[' ~ i ~ ':' ~ m.role ~ ']' ~ m.content ~ '\n' }}{% endfor %}""", *CHATS)

template("gpt-oss-macros", r"""{%- macro render_type(spec, required) -%}
    {%- if spec.type == "array" -%}
        {{- render_type(spec['items'], required) + "[]" }}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type is not mapping and spec.type[0] is defined -%}
        {{- spec.type | join(" | ") }}
    {%- elif spec.enum -%}
        {{- '"' + spec.enum|join('" | "') + '"' -}}
    {%- else -%}
        {{- spec.type|default("any") }}
    {%- endif -%}
{%- endmacro -%}
{%- macro head(role, to=none) -%}<|start|>{{ role }}{% if to %} to={{ to }}{% endif %}{%- endmacro -%}
{%- macro wrapped(tag) -%}<{{ tag }}>{{ caller(tag|upper) }}</{{ tag }}>{%- endmacro -%}
{%- for tool in tools or [] %}
// {{ tool.function.description }}
type {{ tool.function.name }} = (_: {
    {%- for name, spec in tool.function.parameters.properties.items() %}
{{ name }}{{ '?' if name not in tool.function.parameters.required }}: {{ render_type(spec, true) }}{{ "," if not loop.last else "" }}{% if spec.default is defined %} // default: {{ spec.default }}{% endif %}
    {%- endfor %}
}) => any;
{% endfor %}
{%- for m in messages if m.role != 'system' -%}
    {{- head(m.role, to='functions.' ~ m.tool_calls[0].function.name if m.tool_calls) }}<|message|>
    {%- call(name) wrapped('body') %}{{ name }}:{{ m.content }}{% endcall -%}
    {{- '<|end|>' if not loop.last else '<|return|>' }}
{%- else -%}
    nothing
{%- endfor -%}
""", *CHATS, {"messages": TOOLS, "tools": [WARMTH]}, {"messages": [said("system", "x")]})

template("json", r"""{% for m in messages %}{{ m.content | tojson }}{{ {'b': 1, 'a': [1, 2.5, true, none], 'u/r': 'é—'} | tojson }}|{{ {'k': [1, {'z': 'y'}], 'e': [], 'f': {}} | tojson(indent=2) }}|{{ {'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true) }}|{{ [1, {'a': 2}] | tojson(separators=(',', ':')) }}|{{ 'é 🙂 <b>&\'"' | tojson(ensure_ascii=true) }}|{{ 'é 🙂 <b>&\'"' | tojson(ensure_ascii=False) }}|{{ [1e20, 1e-7, 0.1, 1.0, -0.0, 1e15, 123456789012345678901234567890] | tojson }}|{{ {'a': [1]} | tojson(indent=1, separators=(',', ' : '), sort_keys=true) }}|{{ m | tojson }}
{% endfor %}""", {"messages": [said("user", "it's <b> & “é” a/b\tc\x7f\x1b\\")]}, {"messages": TOOLS})

# Left out, as minijinja has no such methods, filters or formats, or others: "%r", str.center, ljust, zfill, partition and swapcase,
# |center, |wordcount, |title of "a-b", |e of quotes, |int of no number, |attr of a dictionary's key.
template("python-texts", r"""{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ [1, 'a', "it's", 'say "x"', none, true, 2.5, ('t',), {'k': 'v\n'}] }} {{ {'a': [1, {'b': ()}], 2: 'é\x1b\u200b'} }} {{ ['a'] ~ 1 ~ none ~ true ~ 1.5 }} {{ undefined_thing }}|{{ [1, 2] | string }}|{{ [none, true, 'x'] | join(', ') }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ 'ab' * 3 }} {{ [1] * 2 + [3] }} {{ (1, 2) + (3,) }} {{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ true + 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ -3 | abs }} {{ not 0 }} {{ 1 and 'x' }} {{ 0 or 'y' }}
{{ "%s" % 'x' }} {{ "%s-%d" % ('a', 3) }} {{ "%05.1f|%-5s|%5s|%+d|%x|%%" % (3.14159, 'ab', 'cd', 4, 255) }} {{ "%(a)s" % {'a': 1} }} {{ "%s" | format(1) }} {{ "%e %g %g" % (12345.678, 0.00001, 100000) }} {{ '%s' % [1, 'a'] }} {{ '%.2f' % 2 }} {{ '%5.1f%%' % 12.34 }} {{ 'in 20240726: %s' % 'x' }} {{ '{{"a": 20240726}} {}'.format(1) }}
{{ "{} {1}".replace('1', '') .format(1, 2) }} {{ "{0}{a}".format(1, a='z') }} {{ "{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}".format('a', 'b', 'c', 42, 3.14159, 1234567) }} {{ "{{}}".format() }}
{{ ' a b  c '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ '\na\r\nb'.splitlines() }} {{ 'abc'.find('c') }} {{ 'abc'.find('x') }} {{ 'hello world'.title() }} {{ 'hELLO'.capitalize() }} {{ 'abcabc'.replace('b', 'X', 1) }} {{ 'xxaxx'.strip('x') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.upper().lower() }} {{ 'a1'.isalnum() }} {{ '12'.isdigit() }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'aXbX'.count('X') }} {{ ','.join(['a', 'b']) }}
{{ 'hello'[1:3] }} {{ 'hello'[::-1] }} {{ 'hello'[-1] }} {{ [1,2,3,4][1:] }} {{ [1,2,3,4][::2] }} {{ [1,2,3,4][-2:] }} {{ [1,2,3,4][::-1] }} {{ (1,2,3)[:2] }} {{ [1,2][5:] }} {{ [1,2][9] is defined }} {{ 'né你'|length }} {{ 'né你'[1] }}
{% set d = {'b': 2, 'a': 1, 'C': 3} %}{{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('x') }} {{ d.get('x', 5) }} {{ d | dictsort }} {{ d | length }} {{ 'a' in d }} {{ 'z' not in d }} {{ d | items | list }} {{ d | list }} {{ dict(d, e=4) }} {{ d.missing is undefined }} {{ d['b'] }} {{ d | dictsort(by='value', reverse=true) }}
{% for k, v in d.items() %}{{ k }}={{ v }}{{ ',' if not loop.last }}{% endfor %} {% for x in [1,2,3] %}{{ loop.index }}/{{ loop.length }}:{{ loop.revindex0 }}:{{ loop.previtem | default('-') }}:{{ loop.nextitem | default('-') }}:{{ loop.cycle('o', 'e') }} {% endfor %}{% for x in [] %}{% else %}empty{% endfor %} {% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %} {{ range(3) | list }} {{ range(5, 0, -2) | list }} {% for a, (b, c) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}
{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [{'a': 2}, {'a': 1}] | sort(attribute='a') }} {{ [1, 2, 2, 1] | unique | list }} {{ [1, 5, 3] | max }} {{ ['b', 'A'] | min }} {{ [1, 2] | sum }} {{ [1, 2, 3] | first }} {{ [1, 2, 3] | last }} {{ [1, 2, 3] | reverse | list }} {{ 'abc' | reverse }} {{ [{'a': {'b': 1}}, {'a': {'b': 2}}] | map(attribute='a.b') | list }} {{ ['a', 'b'] | map('upper') | join }} {{ [1, 2, 3, 4] | select('odd') | list }} {{ [1, 2, 3, 4] | reject('gt', 2) | list }} {{ [{'a': 1}, {'b': 1}] | selectattr('a') | list }} {{ [{'a': 1}, {'a': 2}] | rejectattr('a', 'equalto', 1) | list }} {{ [1,2,3,4,5] | batch(2) | list }} {{ [1,2,3,4,5] | slice(2) | list }} {{ [1,2,3] | batch(2, 'x') | list }}
{{ '3' | int }} {{ '3.7' | int }} {{ 'x' | int(9) }} {{ '2.5' | float }} {{ 2.567 | round(2) }} {{ 2.5 | round }} {{ 7 | round }} {{ 2.1 | round(method='ceil') }} {{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'x' | default('y') }} {{ nope | default('y') }} {{ '' | default('z', true) }} {{ none | default('n') }} {{ ' a ' | trim }} {{ '<a>' | safe }} {{ 'ab' | list }} {{ 'abab' | replace('a', 'x') }} {{ 'abab' | replace('a', 'x', 1) }} {{ 'x' | upper | lower | capitalize }}
{{ 1 is number }} {{ 'a' is string }} {{ [] is iterable }} {{ {} is mapping }} {{ [] is sequence }} {{ 'a' is iterable }} {{ none is none }} {{ nope is defined }} {{ true is boolean }} {{ 1 is boolean }} {{ 1 is integer }} {{ 1.0 is float }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 4 is divisibleby 2 }} {{ 3 is odd }} {{ 4 is even }} {{ 'a' is in ['a'] }} {{ 1 is eq 1 }} {{ 1 is not none }} {{ 'A' is upper }} {{ 'a' is lower }} {{ raise_exception is callable }} {{ 1 is sameas true }} {{ 2 is gt 1 }} {{ 1 is ne 2 }}
{{ 'a' 'b' }} {{ "\x41\u00e9\n\t\\\"\101\q" }} {{ {'a': {'b': [10, 20]}}['a'].b[1] }} {{ {'a': 1}.a }} {{ [[1, 2], [3]][0].1 }} {{ 1_000 }} {{ 1.5e3 }} {{ 'x' if false }}| {{ 'a' if 0 else 'b' if 0 else 'c' }} {{ (1, 2)[0], 3 }} {{ () }} {{ (1) }} {{ -2 ** 2 }} {{ (2 + 3) ~ 'a' }} {{ 'a' ~ 2 * 3 }} {{ not true == false }} {{ '%d' % 3 ~ 'x' }} {{ -5 | abs }} {{ 'a' + 'b' | upper }}
{% set ns = namespace(n=0, list=[]) %}{% for x in [1, 2, 3] %}{% set ns.n = ns.n + x %}{% set ns.list = ns.list + [x * 2] %}{% endfor %}{{ ns.n }} {{ ns.list }} {% set x = 1 %}{% for y in [1] %}{% set x = 2 %}{% endfor %}{{ x }} {% if true %}{% set x = 3 %}{% endif %}{{ x }} {% set a, b = 1, 2 %}{{ b ~ a }} {% set block %}in {{ x }}{% endset %}{{ block }} {% set up | upper %}abc{% endset %}{{ up }} {% filter upper | replace('A', 'z') %}abc{% endfilter %} {% with q = 5, r = 6 %}{{ q + r }}{% endwith %}{{ q is defined }} {% macro m(a, b='x', c=none) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=2) }} {{ m('p', 'q') }} {% raw %}{{ raw }} {% if %}{% endraw %} {# gone #}end
""", {"messages": []})

template("white-space", "\n  {% if true %}\n    a\n  {%- if true %}\n b \n  {%- endif %}\n {%+ if true %}c{% endif %}\n  {% if true +%}\n d{% endif %}\n{#- x -#}\n  e {{- ' f ' -}}  g\n  {# y #}\n   h {% if true -%}   i   {%- endif %} j\n\t{% set x = 1 %}\n{{ x }}\n\n{% for a in [1, 2] %}\n  {{ a }}\n{% endfor %}\n{%- raw -%}  {{ k }}  {%- endraw %}\n{% endif %}\n  {% raw %}\n  l\n  {% endraw %}\nend\n", {"messages": []})

template("dates", r"""{{ strftime_now('%d %b %Y, %A %B %Y-%m-%d %H:%M:%S %y %a %j %I %p %e %-d %%') }}""", {"messages": []})

template("errors-undefined", r"""{{ nope.x }}""", {"messages": []})
template("errors-add", r"""{{ 'a' + 1 }}""", {"messages": []})
template("errors-change", r"""{% set l = [] %}{{ l.append(1) }}""", {"messages": []})
template("errors-none", r"""{{ messages[0].content + 'x' }}""", {"messages": [said("assistant", None)]})
template("errors-json", r"""{{ nope | tojson }}""", {"messages": []})

made = []
for name, (source, chats) in cases.items():
    compiled = environment.from_string(source)
    shown = []
    for chat in chats:
        names = {"tools": None, "documents": None, "add_generation_prompt": False, "bos_token": "<s>", "eos_token": "</s>"}
        try:
            text = compiled.render(**names | chat.get("names", {}) | {k: v for k, v in chat.items() if k != "names"})
            shown.append(chat | {"text": text})
        except (jinja2.exceptions.TemplateError, TypeError) as error:
            shown.append(chat | {"error": str(error)})
    made.append({"name": name, "template": source, "cases": shown})
text = json.dumps(made, ensure_ascii=False, indent=1)
(Path(__file__).parent / "templates.json").write_text(text + "\n")
print(len(made), "templates,", sum(len(one["cases"]) for one in made), "texts,", len(text), "bytes")
