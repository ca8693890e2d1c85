"""A message as text for people."""

from collections.abc import Mapping
from typing import Any

from aemon.config.values.templates import render
from aemon.message import Message

USUAL = """\
{% if reason %}{{ reason }}
{% endif %}
{{ severity }}{% if severity_before %}, told as {{ severity_before }} before{% endif %}, {{ state }}; \
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
"""The text where no template is configured."""


def text_of(
    message: Message, template: str | None, variables: Mapping[str, Any] | None = None
) -> str:
    """Return the text of a message, by a template or as usual.

    Args:
        message: what the text is about.
        template: Jinja2; None for the usual text.
        variables: the message's values where its plain ones do not fit, such as escaped ones.

    Raises:
        TemplateError: the template cannot be filled with the message.
    """
    values = message.variables() if variables is None else variables
    return render(USUAL if template is None else template, values).strip()
