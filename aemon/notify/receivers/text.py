"""A message as text for people."""

from collections.abc import Mapping
from typing import Any

from aemon.config.values.templates import render
from aemon.message import Message

USUAL = """\
{% if reason %}{{ reason }}
{% endif %}
{{ severity }}{% if severity_before %}, reported as {{ severity_before }} before{% endif %}, {{ state }}; \
{% if event not in ("resolved", "backlog") %}since {{ started_at }}\
{% elif started_at == ended_at %}at {{ started_at }}\
{% else %}from {{ started_at }} to {{ ended_at }}{% endif %}, \
{{ records }} record{% if records != 1 %}s{% endif %}, \
at most {{ "%.1f" | format(peak_exceedance) }} x the threshold
{% if columns %}to blame: {% for one in columns %}{{ one.told }}{% if not loop.last %}, {% endif %}\
{% endfor %}

{% endif %}
{% if label or like %}{{ label or like }}
{% endif %}
{% if page %}{{ page }}
{% endif %}
{{ command }}
{{ sql }}
"""
"""The text of a message if no template is configured."""


def text_of(
    message: Message, template: str | None, variables: Mapping[str, Any] | None = None
) -> str:
    """Return the text of a message, from a template or in the usual form.

    Args:
        message: the message.
        template: a Jinja2 template; None for the usual text.
        variables: values to use instead of the message's plain values, such as escaped values.

    Raises:
        TemplateError: the template cannot be filled with the message.
    """
    values = message.variables() if variables is None else variables
    return render(USUAL if template is None else template, values).strip()
