//! Which columns are what, by their names and by what stands in them.

use super::{pair, parse, said, text};
use lorakeet_core::config::RunConfig;
use lorakeet_core::data::audit::Reading;
use lorakeet_core::data::{Columns, Content, Dataset, Schema};
use lorakeet_core::error::Result;
use lorakeet_core::protocol::ColumnRole;
use lorakeet_core::task::Task;

/// The texts' and the labels' columns of a run that names none.
fn roles(data: &Dataset) -> (Vec<String>, Vec<String>) {
    let read = data
        .labelled(&Columns::default())
        .unwrap_or_else(|error| panic!("{error}"));
    (read.texts, read.labels)
}

const SENTENCES: [&str; 12] = [
    "the parcel came three days late",
    "who do I ask for a refund",
    "the invoice has the wrong address",
    "my password does not work",
    "the driver left it with a neighbour",
    "please send me a copy of the bill",
    "I cannot log in since Monday",
    "it was charged twice last month",
    "the box was open when it came",
    "how do I change my e-mail",
    "where is my order now",
    "the app closes when I pay",
];

/// A file as a run reads it.
fn read_by(name: &str, text: &str, config: RunConfig) -> Result<Dataset> {
    let reading = Reading::of(&config);
    Dataset::read_by(name, text.as_bytes(), &reading, None, false).map(|(read, _)| read)
}

#[test]
fn a_run_names_the_columns_of_prompt_answer_and_system_prompt() {
    let table = "who,ask,more,say\nBe brief.,What?,That.,Yes.\n,Why?,,So.\n";
    let config = |prompts: &[&str], completion: Option<&str>, system: Option<&str>| RunConfig {
        prompt_columns: prompts.iter().map(|name| (*name).to_owned()).collect(),
        completion_column: completion.map(str::to_owned),
        system_column: system.map(str::to_owned),
        ..RunConfig::default()
    };
    let read = |config| read_by("a.csv", table, config);
    let data = read(config(&["Ask"], Some("say"), None)).expect("a pair");
    assert_eq!(pair(&data.rows[0].content), ("What?", "Yes."));
    let data = read(config(&[], Some("more"), None));
    // A row without the text that is continued is none, and is left out as an empty one.
    assert_eq!(text(&data.expect("a text").rows[0].content), "That.");
    let data = read(config(&["ask", "more"], Some("say"), Some("who"))).expect("an instruction");
    let Content::Instruction(row) = &data.rows[0].content else {
        panic!("not an instruction: {:?}", data.rows[0]);
    };
    assert_eq!(
        [&*row.system, &*row.instruction, &*row.input, &*row.output],
        ["Be brief.", "What?", "That.", "Yes."]
    );
    let roles = data.column_uses(Task::Generation, &Columns::default());
    let roles: Vec<ColumnRole> = roles.into_iter().map(|of| of.role).collect();
    let wanted = [
        ColumnRole::System,
        ColumnRole::Prompt,
        ColumnRole::Prompt,
        ColumnRole::Completion,
    ];
    assert_eq!(roles, wanted);
    // A column that a run names is what it names it, whatever it is called.
    let told = read_by(
        "a.csv",
        "history,ask,say\nso far,What?,Yes.\n",
        config(&["ask", "history"], Some("say"), None),
    );
    let told = told.expect("an instruction");
    let Content::Instruction(row) = &told.rows[0].content else {
        panic!("not an instruction: {:?}", told.rows[0]);
    };
    assert_eq!((row.input.as_str(), row.history.len()), ("so far", 0));
    let roles = told.column_uses(Task::Generation, &Columns::default());
    assert_eq!(roles[0].role, ColumnRole::Prompt);
    for (given, words) in [
        (config(&["ask"], None, None), "completion_column"),
        (config(&["ask"], Some("reply"), None), "no column 'reply'"),
        (config(&["ask"], Some("ask"), None), "given twice"),
        (config(&["ask", "more", "who"], Some("say"), None), "prompt_columns"),
        (config(&[], Some("say"), Some("who")), "prompt_columns"),
    ] {
        let error = read(given).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_table_without_names_of_columns_is_told_from_its_rows_unless_the_run_says_it() {
    let labelled = "ham,see you at nine\nspam,you have won\nham,the train is late\nham,call me\nspam,claim it\n";
    let data = parse("a.csv", labelled);
    assert_eq!(
        (data.columns.join(" "), data.rows[0].number),
        ("column_1 column_2".to_owned(), 1)
    );
    assert!(said(&data.notes)[0].contains("`header: true`"), "{:?}", data.notes);
    let sentences = "The parcel came late.\tWe are sorry for that.\nThe bill is wrong.\tHere is another one.\n";
    assert_eq!(parse("a.tsv", sentences).info().rows, 2);
    let header = |header| RunConfig {
        header: Some(header),
        ..RunConfig::default()
    };
    let named = read_by("a.csv", labelled, header(true)).expect("it is read");
    assert_eq!((named.columns[0].as_str(), named.info().rows), ("ham", 4));
    // Names stay names where nothing speaks against it.
    for text in [
        "Frage,Antwort\nq,a\n",
        "text,label\ntext,label\ntext,label\n",
        "2019,2020\na,b\n",
    ] {
        assert_eq!(
            parse("a.csv", text).columns.join(","),
            text.lines().next().expect("a header")
        );
    }
    let data = read_by("a.csv", "Frage,Antwort\nq,a\n", header(false)).expect("it is read");
    assert_eq!((data.columns[0].as_str(), data.info().rows), ("column_1", 2));
}

/// Rows of these columns; each row's fields come from the sentence and its class.
fn table(header: &str, row: impl Fn(&str, &str) -> String) -> String {
    let rows = SENTENCES.iter().enumerate();
    let rows = rows.map(|(number, sentence)| row(sentence, ["delivery", "account", "billing"][number % 3]));
    format!("{header}\n{}\n", rows.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_text_and_its_label_are_found_under_the_names_that_people_give_them() {
    let cases = [
        ("Category;Message", true, "message", "category"),
        ("Message;Ticket Category", false, "message", "ticket category"),
        (
            "customer_message;sentiment_label",
            false,
            "customer_message",
            "sentiment_label",
        ),
        ("v1;v2", true, "v2", "v1"),
        ("Anliegen;Art", false, "anliegen", "art"),
        ("label;text", true, "text", "label"),
        ("review;sentiment", false, "review", "sentiment"),
        ("标签;文本", true, "文本", "标签"),
        ("类别;用户反馈", true, "用户反馈", "类别"),
    ];
    for (header, label_first, text_column, label_column) in cases {
        let rows = table(header, |sentence, class| match label_first {
            true => format!("{class};{sentence}"),
            false => format!("{sentence};{class}"),
        });
        let data = parse("a.csv", &rows);
        let wanted = (vec![text_column.to_owned()], vec![label_column.to_owned()]);
        assert_eq!(roles(&data), wanted, "{header}");
        assert_eq!(data.form, Schema::Text, "{header}");
        assert!(data.has_labels(&Columns::default()), "{header}");
        assert_eq!(text(&data.rows[0].content), SENTENCES[0], "{header}");
    }
}

#[test]
fn what_was_guessed_is_said_and_gives_way_to_what_a_run_names() {
    let rows = table("v1,v2,remark", |sentence, class| format!("{class},{sentence},"));
    let data = parse("a.csv", &rows);
    let read = data.labelled(&Columns::default()).expect("it is read");
    let notes = said(&read.notes);
    assert!(
        notes[0].contains("'v1' is taken as the label") && notes[0].contains("'v2'"),
        "{notes:?}"
    );
    let named = Columns {
        texts: vec!["v1".into()],
        labels: vec!["v2".into()],
        ..Columns::default()
    };
    let read = data.labelled(&named).expect("it is read");
    assert_eq!(
        (read.texts, read.labels),
        (vec!["v1".to_owned()], vec!["v2".to_owned()])
    );
    assert!(!said(&read.notes).iter().any(|note| note.contains("is taken as")));
    let by_name = parse(
        "a.csv",
        &table("Spam Category,Body,Date", |s, c| format!("{c},{s},1 May")),
    );
    let notes = said(&by_name.labelled(&Columns::default()).expect("it is read").notes);
    assert!(
        notes[0].starts_with("By the columns' names, 'Spam Category'"),
        "{notes:?}"
    );
}

#[test]
fn questions_with_answers_and_other_known_forms_stay_what_they_are() {
    let cases = [
        ("question,answer", "q,a", Schema::PromptCompletion),
        ("问题,回答", "q,a", Schema::PromptCompletion),
        ("instruction,input,output", "i,,o", Schema::Alpaca),
        ("premise,hypothesis,label", "p,h,1", Schema::PromptCompletion),
        ("Frage,Antwort", "q,a", Schema::Table),
    ];
    for (header, row, form) in cases {
        assert_eq!(parse("a.csv", &format!("{header}\n{row}\n")).form, form, "{header}");
    }
    let pairs = parse("a.csv", "premise,hypothesis,label\np,h,1\n");
    assert!(pairs.has_labelled_pairs());
    assert_eq!(
        roles(&pairs),
        (
            vec!["premise".to_owned(), "hypothesis".to_owned()],
            vec!["label".to_owned()]
        )
    );
    let asked = parse("a.csv", "question,answer,label\nq,a,1\n");
    assert!(!asked.has_labelled_pairs());
    assert_eq!(pair(&asked.rows[0].content), ("q", "a"));
}

#[test]
fn a_corpus_stays_one_whatever_else_its_rows_say() {
    for name in ["target_language", "content_rating", "topic_source", "topic"] {
        for text_column in ["text", "content"] {
            let rows = SENTENCES.iter().enumerate();
            let rows = rows.map(|(number, sentence)| {
                format!(
                    "{{\"{text_column}\": \"{sentence}\", \"{name}\": \"{}\"}}\n",
                    ["en", "de"][number % 2]
                )
            });
            let data = parse("a.jsonl", &rows.collect::<String>());
            assert_eq!(data.form, Schema::Text, "{name}");
            assert!(!data.has_labels(&Columns::default()), "{text_column}, {name}");
        }
    }
    // A text of another name with an attribute whose name has a word for a label.
    for name in ["target_language", "topic_source", "category_set"] {
        let data = parse("a.csv", &table(&format!("review,{name}"), |s, c| format!("{s},{c}")));
        assert!(!data.has_labels(&Columns::default()), "{name}");
    }
    // Known names of labels stay labels, and so does a class's number.
    for (header, label) in [("text,rating", "rating"), ("review,label_id", "label_id")] {
        let data = parse("a.csv", &table(header, |s, c| format!("{s},{c}")));
        assert_eq!(roles(&data).1, [label], "{header}");
    }
}

#[test]
fn nothing_is_taken_for_a_label_that_is_none() {
    let cases = [
        // Translations: no value comes again.
        table("english,target_language", |sentence, _| {
            format!("{sentence},{sentence}!")
        }),
        // Attributes of a row.
        table("notes,lang", |sentence, class| format!("{sentence},{class}")),
        // Of two columns with few values it may be either.
        table("notes,a,b", |sentence, class| format!("{sentence},{class},{class}")),
        // Words are whole.
        table("notes,classics", |sentence, _| format!("{sentence},{sentence}?")),
        // Two texts.
        table("one,other,kind", |sentence, class| {
            format!("{sentence},{sentence}!,{class}")
        }),
    ];
    for rows in cases {
        let data = parse("a.csv", &rows);
        assert_eq!(data.form, Schema::Table, "{rows}");
        assert!(!data.has_labels(&Columns::default()), "{rows}");
    }
}
