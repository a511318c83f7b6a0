//! Chat templates held to what jinja2 writes under transformers' settings, see `templates/make.py`; and strangers' templates.

use lorakeet_core::chat::{ChatTemplate, Conversation};
use lorakeet_core::protocol::ChatMessage;
use serde_json::Value;

const MADE: &str = include_str!("templates/templates.json");

fn conversation(case: &Value) -> Conversation {
    let messages = case["messages"].as_array().unwrap().iter();
    Conversation {
        messages: messages.map(|message| message.as_object().unwrap().clone()).collect(),
        tools: case.get("tools").cloned(),
        names: case["names"].as_object().cloned().unwrap_or_default(),
    }
}

/// The template of a name, and its cases.
fn made(name: &str) -> (ChatTemplate, Vec<Value>) {
    let all: Vec<Value> = serde_json::from_str(MADE).unwrap();
    let found = all.iter().find(|one| one["name"] == name).unwrap();
    let template = ChatTemplate::new(found["template"].as_str().unwrap(), Some("<s>"), Some("</s>")).unwrap();
    (template, found["cases"].as_array().unwrap().clone())
}

/// What the assistant says in a case.
fn answers(name: &str, case: usize) -> Vec<String> {
    let (template, cases) = made(name);
    let laid_out = template.lay_out_with_spans(&conversation(&cases[case])).unwrap();
    let spans = laid_out.generation_spans.into_iter();
    spans.map(|span| laid_out.text[span].to_string()).collect()
}

#[test]
fn templates_give_jinja2s_texts_and_errors() {
    let all: Vec<Value> = serde_json::from_str(MADE).unwrap();
    assert!(all.len() > 30);
    for one in &all {
        let template = ChatTemplate::new(one["template"].as_str().unwrap(), Some("<s>"), Some("</s>"));
        let template = template.unwrap_or_else(|error| panic!("{}: {error}", one["name"]));
        for (index, case) in one["cases"].as_array().unwrap().iter().enumerate() {
            let text = template.lay_out(&conversation(case), case["add_generation_prompt"] == true);
            match case["text"].as_str() {
                Some(wanted) => assert_eq!(text.unwrap(), wanted, "{} {index}", one["name"]),
                None => assert!(text.is_err(), "{} {index}: {text:?}", one["name"]),
            }
        }
    }
}

#[test]
fn calls_are_learnt_as_the_template_writes_them_and_results_are_not() {
    let call = r#"{"name": "warmth", "arguments": {"town": "Bath", "days": 2}}"#;
    assert_eq!(
        answers("qwen25-hermes-tools", 3),
        [
            &format!("<tool_call>\n{call}\n</tool_call><|im_end|>"),
            "Seventeen degrees.<|im_end|>",
            "You're welcome.<|im_end|>"
        ]
    );
    assert_eq!(
        answers("mistral-v3-tools", 0)[..2],
        [
            r#"[TOOL_CALLS] [{"name": "warmth", "arguments": {"town": "Bath", "days": 2}, "id": "call12345"}]</s>"#,
            " Seventeen degrees.</s>"
        ]
    );
    // It opens calls in another way than its generation prompt.
    assert!(answers("deepseek-r1-tools", 3)[0].starts_with("<|calls|><|call|>function"));
    assert_eq!(
        answers("qwen3-thinking", 3),
        [
            "Four.<|im_end|>",
            "<think>\nThree and three.\n</think>\n\nSix.<|im_end|>"
        ]
    );
    assert_eq!(answers("gemma3-parts", 3), ["Here.<end_of_turn>"]);
    assert_eq!(
        answers("index-loop", 1),
        ["[2:assistant] At Barton.\n", "[4:assistant]At Delaford."]
    );
}

#[test]
fn parts_are_joined_for_templates_that_take_texts() {
    let (_, cases) = made("gemma3-parts");
    let (template, _) = made("chatml");
    let text = template.lay_out(&conversation(&cases[3]), false).unwrap();
    assert!(text.contains("<|im_start|>user\n Where is it?<|im_end|>"), "{text}");
    assert!(text.ends_with("<|im_start|>assistant\nHere.<|im_end|>\n"), "{text}");
}

#[test]
fn an_error_names_the_line() {
    let template = ChatTemplate::new("a\n{% if true %}\n{{ nope.x }}\n{% endif %}", None, None).unwrap();
    let error = template.apply(&[], false).unwrap_err().to_string();
    assert!(
        error.contains("line 3") && error.contains("undefined value in 'nope.x'"),
        "{error}"
    );
    for (source, what) in [
        ("a\n{% include 'x' %}", "line 2"),
        ("{% for x in %}", "unexpected end of block"),
        ("{{ 'a", "end of string"),
        ("{% if a %}", "end of input"),
        ("{{ a | }}", "identifier"),
        ("{# ", "comment"),
        ("{{ a b }}", "expected end of variable block"),
        ("{{ 1 + (2 }}", "line 1"),
        ("a\n{{ (1))", "line 2"),
    ] {
        let error = ChatTemplate::new(source, None, None).unwrap_err().to_string();
        assert!(error.contains(what), "{source}: {error}");
    }
}

#[test]
fn long_conversations_take_time_by_their_length() {
    let (template, _) = made("chatml");
    let chat = |turns: usize| -> Vec<ChatMessage> {
        let turn = |at: usize| ChatMessage {
            role: if at.is_multiple_of(2) { "user" } else { "assistant" }.into(),
            content: format!("Say {at}."),
        };
        (0..turns).map(turn).collect()
    };
    let seconds = |turns: usize| {
        let chat = chat(turns);
        let start = std::time::Instant::now();
        let laid_out = template.apply_with_spans(&chat).unwrap();
        assert_eq!(laid_out.generation_spans.len(), turns / 2);
        start.elapsed().as_secs_f64()
    };
    // Some hundredths of a second; by the square of the length it would be minutes.
    let best = (0..3).map(|_| seconds(8000)).fold(f64::INFINITY, f64::min);
    assert!(best < 2.0, "{best} s");
}

/// Templates that aim at the stack, the memory or the clock.
pub fn hostile() -> Vec<(&'static str, String)> {
    let many = |start: &str, middle: &str, end: &str| format!("{start}{}{end}", middle.repeat(200_000));
    let some = |start: &str, middle: &str, end: &str| format!("{start}{}{end}", middle.repeat(60_000 / middle.len()));
    let plain = [
        ("join method", "{% set s='a'*1000000 %}{{ ''.join([s]*100000) }}"),
        ("join", "{% set s='a'*1000000 %}{{ ([s]*100000)|join }}"),
        ("tojson", "{% set s='<'*1000000 %}{{ ([s]*100000)|tojson }}"),
        ("indent of tojson", "{{ [1,2,3]|tojson(indent=4000000000) }}"),
        ("string", "{% set s='a'*1000000 %}{{ ([s]*100000)|string }}"),
        ("print of a list", "{% set s='a'*1000000 %}{{ [s]*100000 }}"),
        ("pprint", "{% set s='a'*1000000 %}{{ ([s]*100000)|pprint }}"),
        (
            "concatenation",
            "{% set s='a'*1000000 %}{% set l=[s]*100000 %}{{ l ~ l }}",
        ),
        ("format", "{% set s='a'*1000000 %}{{ '%s%s' % ([s]*100000, 1) }}"),
        (
            "format of braces",
            "{% set s='a'*1000000 %}{{ '{}{}'.format([s]*100000, 1) }}",
        ),
        (
            "wide list",
            "{% set ns=namespace(x=['a'*1000]) %}{% for i in range(20) %}{% set ns.x=[ns.x]*50 %}{% endfor %}{{ ns.x|tojson }}",
        ),
        (
            "wide list printed",
            "{% set ns=namespace(x=['a'*1000]) %}{% for i in range(20) %}{% set ns.x=[ns.x]*50 %}{% endfor %}{{ ns.x }}",
        ),
        (
            "wide list compared",
            "{% set n=namespace(x=[],y=[]) %}{% for i in range(20) %}{% set n.x=[n.x]*50 %}{% set n.y=[n.y]*50 %}{% endfor %}{{ n.x==n.y }}{{ n.x<n.y }}",
        ),
        (
            "deep list as JSON",
            "{% set ns=namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x=[ns.x] %}{% endfor %}{{ ns.x|tojson }}",
        ),
        (
            "deep list printed",
            "{% set ns=namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x=[ns.x] %}{% endfor %}{{ ns.x }}",
        ),
        (
            "deep list compared",
            "{% set n=namespace(x=[],y=[]) %}{% for i in range(100000) %}{% set n.x=[n.x] %}{% set n.y=[n.y] %}{% endfor %}{{ n.x == n.y }}",
        ),
        (
            "deep list dropped",
            "{% set ns=namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x=[ns.x] %}{% endfor %}ok",
        ),
        (
            "deep dictionary",
            "{% set ns=namespace(x={}) %}{% for i in range(12000) %}{% set ns.x={'a':ns.x} %}{% endfor %}{{ ns.x }}",
        ),
        (
            "wide lists compared at once",
            "{{ ([[[[1]*1000]*1000]*1000]*1000) == ([[[[1]*1000]*1000]*1000]*1000) }}",
        ),
        (
            "wide arguments compared",
            "{% macro f(x,y,n) %}{% if n>0 %}{{ f([x]*1+[x,x,x,x],[y]*1+[y,y,y,y],n-1) }}{% else %}{{ x==y }}{% endif %}{% endmacro %}{{ f([1],[1],20) }}",
        ),
        (
            "wide defaults compared",
            "{% set n=namespace(x=1) %}{% for i in range(9) %}{% set n.x=range(99)|map(attribute='z', default=n.x) %}{% endfor %}{{ n.x==[n.x] }}",
        ),
        (
            "slices of slices",
            "{% set ns=namespace(x=[[1]]) %}{% for i in range(100000) %}{% set ns.x=[ns.x[0][0:]] %}{% endfor %}{{ ns.x }}",
        ),
        (
            "slices of arguments",
            "{% macro f(x) %}{{ x|length }}{{ f(x[0:][0:][0:][0:][0:][0:][0:][0:][0:][0:][0:][0:][0:][0:][0:]) }}{% endmacro %}{{ f([1]) }}",
        ),
        ("many fields", "{% set s='a'*1000000 %}{{ ('{0}'*100000).format(s) }}"),
        (
            "width of width",
            "{{ '{:>{}}'.format('a', 999999999) }}{{ '%*d' % (999999999, 1) }}",
        ),
        (
            "recursive loop",
            "{% for a in [1] recursive %}{{ loop([[[[[[[[[[a]]]]]]]]]]) }}{% endfor %}",
        ),
        ("all values", "{{ debug() }}"),
        ("cycle", "{% set ns=namespace() %}{% set ns.x=ns %}{{ ns }}{{ ns.x }}"),
        (
            "cycle in a list",
            "{% set ns=namespace() %}{% set ns.x=[ns] %}{{ ns.x }}",
        ),
        (
            "doubling",
            "{% set ns=namespace(x='aaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x=ns.x~ns.x %}{% endfor %}{{ ns.x }}",
        ),
        ("replace", "{% set s='a'*1000000 %}{{ s.replace('a',s) }}"),
        ("replace as a filter", "{% set s='a'*1000000 %}{{ s|replace('a',s) }}"),
        ("replace of nothing", "{% set s='a'*1000000 %}{{ s.replace('',s) }}"),
        ("recursion", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"),
        (
            "recursion by a caller",
            "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
        ),
        ("recursion in a default", "{% macro f(x=f()) %}{% endmacro %}{{ f() }}"),
        (
            "loops",
            "{% for i in range(100000) %}{% for j in range(100000) %}{{ j }}{% endfor %}{% endfor %}",
        ),
        (
            "silent loops",
            "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
        ),
        ("wide number", "{{ '%999999999d' % 1 }}"),
        ("wide text", "{{ '%999999999s'|format('a') }}"),
        ("wide field", "{{ '{:>999999999}'.format('a') }}"),
        ("precise number", "{{ '%.999999999f'|format(1.5) }}"),
        ("endless digits", "{{ '%99999999999999999999999d' % 1 }}"),
        ("wide indent", "{{ 'a\nb'|indent(4000000000) }}"),
        ("center", "{{ 'a'|center(4000000000) }}{{ 'a'.center(4000000000) }}"),
        ("ljust", "{{ 'a'.ljust(4000000000) }}"),
        ("zfill", "{{ 'a'.zfill(4000000000) }}"),
        ("batch", "{{ [1]|batch(4000000000, 0)|list }}"),
        ("slice", "{{ [1]|slice(4000000000)|list }}"),
        ("split", "{{ ('a'*10000000).split('a')|length }}"),
        ("list of a text", "{{ ('a'*50000000)|list|length }}"),
        ("sort", "{{ (range(100000)|list*20)|sort|length }}"),
        (
            "range",
            "{{ range(4000000000)|length }}{{ range(-9, 170141183460469231731687303715884105727) }}",
        ),
        ("power", "{{ 9**9**9 }}{{ 10**1000000 }}"),
        (
            "product",
            "{% set ns=namespace(x=10) %}{% for i in range(100) %}{% set ns.x=ns.x*ns.x %}{% endfor %}{{ ns.x }}",
        ),
        (
            "repetition",
            "{{ 'a' * 99999999999999999999 }}{{ [1] * 9223372036854775807 }}",
        ),
        ("files", "{% include '/etc/passwd' %}"),
        ("parents", "{% extends 'y' %}{% import 'z' as q %}"),
        ("long refusal", "{{ raise_exception('x'*1000000) }}"),
        ("nul", "a\0b{{ messages }}"),
        (
            "half a mark",
            "{{ '\u{fdd0}' }}{% generation %}{{ '\u{fdd1}\u{fdd1}' }}{% endgeneration %}",
        ),
        (
            "nested generation",
            "{% generation %}{% generation %}{% endgeneration %}{% endgeneration %}",
        ),
        (
            "no room behind a slice",
            "{{ 'abc'[::-170141183460469231731687303715884105728] }}{{ [1][170141183460469231731687303715884105727] }}",
        ),
        (
            "least number",
            "{% set n = -170141183460469231731687303715884105727 - 1 %}{{ -n }}{{ n|abs }}{{ n // -1 }}{{ n % -1 }}",
        ),
    ];
    let mut all: Vec<_> = plain.map(|(name, source)| (name, source.to_string())).into();
    for (name, start, middle, end) in [
        ("sum", "{{ 1", "+1", " }}"),
        ("concatenations", "{{ 'a'", "~'a'", " }}"),
        ("attributes", "{{ a", ".b", " }}"),
        ("filters", "{{ a", "|upper", " }}"),
        ("not", "{{ ", "not ", "a }}"),
        ("negatives", "{{ ", "-", "1 }}"),
        ("items", "{{ a", "[0]", " }}"),
        ("calls", "{{ a", "()", " }}"),
        ("and", "{{ a", " and a", " }}"),
        ("comparisons", "{{ a", " < a", " }}"),
        ("choices", "{{ ", "a if a else ", "a }}"),
        ("elif", "{% if a %}x", "{% elif a %}x", "{% endif %}"),
        ("tests", "{{ a", " is defined", " }}"),
        ("generation", "", "{% generation %}", ""),
        ("tags", "", "{%", ""),
        ("comments", "", "{#", ""),
        ("open brackets", "{{ ", "(", " }}"),
        ("open lists", "{{ ", "[", " }}"),
        ("open dictionaries", "{{ ", "{1:", " }}"),
        ("pairs of texts", "{{ ", "'a'", " }}"),
        ("conditions", "", "{% if messages %}", ""),
        ("loops in loops", "", "{% for m in messages %}", ""),
        ("sets", "", "{% set a=[a] %}", "{{ a }}"),
        ("macros in macros", "", "{% macro a() %}", ""),
        ("with in with", "", "{% with a=[a] %}", ""),
        ("targets", "{% set ", "(a,", " = 1 %}"),
    ] {
        all.push((name, many(start, middle, end)));
        all.push((name, some(start, middle, end)));
    }
    let closed =
        |open: &str, inner: &str, close: &str, times| format!("{}{inner}{}", open.repeat(times), close.repeat(times));
    for times in [20, 200, 1000] {
        all.push(("brackets", format!("{{{{ {} }}}}", closed("(", "1", ")", times))));
        all.push((
            "conditions in conditions",
            closed("{% if true %}", "x", "{% endif %}", times),
        ));
        all.push((
            "loops in loops",
            closed("{% for m in [1, 2] %}", "x", "{% endfor %}", times),
        ));
        all.push((
            "lists of sets",
            format!("{}{{{{ a }}}}", "{% set a=[[[[[[[[[[[a]]]]]]]]]]] %}".repeat(times)),
        ));
    }
    all
}
