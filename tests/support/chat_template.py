"""The chat template for pairs, as the hub's reranker repositories ship it."""

CHAT_TEMPLATE = r"""
{%- set ns = namespace(instruct="Given a web search query, retrieve relevant passages that answer the query") -%}
{%- for message in messages -%}
{%- if message.role == "system" -%}{%- set ns.instruct = message.content -%}
{%- elif message.role == "query" -%}{%- set ns.query = message.content -%}
{%- elif message.role == "document" -%}{%- set ns.document = message.content -%}
{%- endif -%}
{%- endfor -%}
{{- '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct ' -}}
{{- 'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n' -}}
{{- '<Instruct>: ' + ns.instruct + '\n<Query>: ' + ns.query + '\n<Document>: ' + ns.document -}}
{{- '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n' -}}
""".strip()
