"""No wrong configuration tells a secret: not in the refusal, its traceback or what is printed of it."""

import random
import string
import traceback
from pathlib import Path

import pytest

from aemon.config.loading import load_config
from aemon.errors import ConfigError

_RNG = random.Random(22)
SECRETS = [
    "hunter2", "correct horse battery", "s3cr3t!", "pässwörd9", "Tr0ub4dor&3", "QWxhZGRpbjpvcGVu",
    "xoxb-12345-abcdefghij", "ghp_16C7e42F292c6912E7", "sk_live_4eC39HqLyjWDarjtT1", "AKIAIOSFODNN7EXAMPLE",
    *("".join(_RNG.choices(string.ascii_letters + string.digits, k=k)) for k in range(8, 20)),
]  # fmt: skip
SOURCE = "kind: sql, url: 'sqlite:///p.db', table: r, time: ts, key: id"
FINE = f"  a: {{source: {{{SOURCE}}}, score_every: 1m}}\n"
WRONG = (
    "store:{0}\nmonitors:\n" + FINE,
    "store: *{0}\nmonitors:\n" + FINE,
    "store: !{0} x\nmonitors:\n" + FINE,
    "store: &{0} x\nhttp: &{0} x\nmonitors:\n" + FINE,
    "store: postgresql://me:{0}@h/d: x\nmonitors:\n" + FINE,
    "store: 'postgresql://me:{0}@h\nmonitors:\n" + FINE,
    "store: ['{0}']\nmonitors:\n" + FINE,
    "store: {{'{0}': x}}\nmonitors:\n" + FINE,
    "store: 'mysql://me:{0}@h/d'\nmonitors:\n" + FINE,
    "'{0}': x\nmonitors:\n" + FINE,
    "{0}\nmonitors:\n" + FINE,
    "%{0} x\n---\nmonitors:\n" + FINE,
    "store: |{0}\nmonitors:\n" + FINE,
    'store: "\\{0}"\nmonitors:\n' + FINE,
    "reload_every: '{0}'\nmonitors:\n" + FINE,
    "http: {{listen: '{0}'}}\nmonitors:\n" + FINE,
    "http: {{url: 'https://me:{0}@h'}}\nmonitors:\n" + FINE,
    "http: {{'{0}': {{a: 1}}}}\nmonitors:\n" + FINE,
    "log: {{level: '{0}'}}\nmonitors:\n" + FINE,
    "trainings_at_once: '{0}'\nmonitors:\n" + FINE,
    "retention: {{scores: '{0}'}}\nmonitors:\n" + FINE,
    "replicas: {{name: ['{0}']}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: '{0}', url: 'https://x.example'}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: slack, url: '{0}'}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: slack, url: 'https://me:{0}@x.example'}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', headers: {{'Bearer {0}': x}}}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', headers: {{'{0}': \"a\\nb\"}}}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', headers: {{X-Key: ['{0}']}}}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', bearer_token: {{'{0}': 1}}}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', basic_auth: '{0}'}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', template: '{{{{ {0} }}}}'}}\nmonitors:\n" + FINE,
    "notify:\n  ops: {{kind: webhook, url: 'https://x.example', body: '{0}'}}\nmonitors:\n" + FINE,
    "monitors:\n  a: {{source: {{kind: sql, url:postgresql://me:{0}@h/d}}, score_every: 1m}}\n",
    "monitors:\n  a: {{source: {{kind: sql, url: 'postgresql://me:{0}@h@d:x/y'}}, score_every: 1m}}\n",
    "monitors:\n  a: {{source: {{kind: '{0}'}}, score_every: 1m}}\n",
    "monitors:\n  a: {{source: 'postgresql://me:{0}@h/d', score_every: 1m}}\n",
    "monitors:\n  a: {{source: {{" + SOURCE + ", timezone: '{0}'}}, score_every: 1m}}\n",
    "monitors:\n  a: {{source: {{" + SOURCE + "}}, score_every: '{0} * * * *'}}\n",
    "monitors:\n  a: {{source: {{" + SOURCE + "}}, score_every: 1m, labels: {{'{0}/x': y}}}}\n",
    "monitors:\n  a: {{source: {{" + SOURCE + "}}, score_every: 1m, threshold: {{alarm_budget: '{0}'}}}}\n",
    "monitors:\n  a: {{source: {{" + SOURCE + "}}, score_every: 1m, columns: {{kinds: {{'{0}': x}}}}}}\n",
    "monitors:\n  a: {{source: {{" + SOURCE + "}}, score_every: 1m, quiet: {{deviates: {{'{0}': -1}}}}}}\n",
    "monitors:\n  'postgresql://me:{0}@h/d': {{source: 5}}\n",
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_no_planted_secret_is_told(tmp_path, wrong):
    config = tmp_path / "aemon.yaml"
    refused = 0
    for secret in SECRETS:
        text = wrong.replace("{0}", secret).replace("{{", "{").replace("}}", "}")
        config.write_text(text)
        try:
            load_config(Path(config), {})
        except ConfigError as error:
            refused += 1
            told = [str(error), repr(error), *traceback.format_exception(error)]
            assert not [text for text in told if secret in text], secret
            assert "aemon.yaml:" in told[0]
    assert refused, wrong
