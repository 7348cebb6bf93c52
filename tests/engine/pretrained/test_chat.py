"""Chat templates of published models work; what reaches too far or never ends is refused in a sentence."""

import time

import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import set_language
from aigc_desktop.engine.pretrained.chat import render
from aigc_desktop.engine.pretrained.tiny import TEMPLATE

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好 👋"}]


def test_a_conversation_is_laid_out_up_to_the_answer():
    assert render(TEMPLATE, ASKED, {}) == (
        "<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\n你好 👋<|im_end|><|im_start|>assistant\n"
    )


def test_what_published_templates_use_is_there():
    template = (
        "{% set ns = namespace(n=0) %}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{{ bos_token ~ messages[0].content|trim }}{% else %}{% set rest = messages %}{% endif %}"
        "{% for m in rest %}{% set ns.n = ns.n + 1 %}[{{ m['role'].upper() }} {{ ns.n }}/{{ loop.length }}] "
        "{{ m.content.split(' ')[0] }} {{ m|tojson }}{% endfor %}"
        "{% if tools is not none %}no{% endif %}{% if add_generation_prompt %}>{% endif %}"
    )
    assert render(template, ASKED, {"bos_token": "<s>"}) == (
        '<s>Be brief.[USER 1/1] 你好 {"role": "user", "content": "你好 👋"}>'
    )


def test_what_is_not_there_is_false_and_a_loop_can_be_left_as_where_templates_are_made():
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m.tool_calls %}tool{% endif %}{{ m.content }}{% break %}"
        "{% endfor %}"
    )
    assert render(template, ASKED, {}) == "Be brief."


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ ''.__class__ }}", "不允许"), ("{% for i in range(10 ** 9) %}{% endfor %}", "不允许"),
        ("a\n{% if %}", "第 2 行"), ("{% break %}", "“'break' outside loop”"),
        ("{{ raise_exception('only with tools') }}", "“only with tools”"),
    ],
)  # fmt: skip
def test_the_reason_is_told_in_the_chosen_language(template, reason):
    set_language("zh_CN")
    try:
        with pytest.raises(UserError, match=reason):
            render(template, ASKED, {})
    finally:
        set_language("en")


ATTACKS = {
    "endless": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}"
               "{% endfor %}",
    "classes": "{{ ''.__class__.__mro__ }}",
    "globals": "{{ messages[0].__init__.__globals__ }}",
    "function": "{{ range.__globals__ }}",
    "attribute filter": "{% for i in [1]|map(attribute='__class__') %}{{ i }}{% endfor %}",
    "itself": "{{ self.__class__ }}",
    "product": "{{ 'a' * 10 ** 9 }}",
    "power": "{{ 9 ** 99999999 }}",
    "padding": "{{ 'a'.ljust(10 ** 8) }}",
    "format": "{{ '{:>9999999999}'.format('x') }}",
    "percent": "{{ '%9999999999d' % 1 }}",
    "doubling": "{% set x = namespace(v='aa') %}{% for i in range(90) %}{% set x.v = x.v + x.v %}{% endfor %}{{ x.v }}",
    "joining": "{% set x = namespace(v='aa') %}{% for i in range(100) %}{% set x.v = x.v ~ x.v %}{% endfor %}{{ x.v }}",
    "replacing": "{% set x = namespace(v='aaaaaaaaaa') %}{% for i in range(20) %}"
                 "{% set x.v = x.v.replace('a', 'aaaaaaaaaa') %}{% endfor %}",
    "join filter": "{% set x = namespace(v='aa') %}{% for i in range(90) %}{% set x.v = [x.v, x.v]|join %}{% endfor %}",
    "macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "range": "{% for i in range(10 ** 9) %}{% endfor %}",
    "file": "{% include '/etc/passwd' %}",
    "broken": "{% if %}",
    "unknown": "{{ nothing.here }}",
    "filter": "{{ messages|dictsort }}",
    "nothing": "{{ '' }}",
    "by itself": "{{ raise_exception('only with tools') }}",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_template_that_goes_too_far_is_refused_soon(name):
    start = time.monotonic()
    with pytest.raises(UserError, match="chat template"):
        render(ATTACKS[name], ASKED, {})
    assert time.monotonic() - start < 6
