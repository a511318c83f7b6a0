//! Spreadsheets, Parquet files, archives and folders as data.

use anyhow::Result;
use lorakeet_core::config::RunConfig;
use lorakeet_core::data::audit::Reading;
use lorakeet_core::data::{Columns, Content, Dataset, Schema};
use lorakeet_core::error::Error;
use lorakeet_core::protocol::{Command, DataInfo, Event};
use lorakeet_core::store::{MemoryFile, Source};
use lorakeet_i18n::Message;
use lorakeet_tables::{MOST_BYTES, Opened, open};
use lorakeet_tests::packed::{archive, bomb, cells, parquet, workbook};
use lorakeet_tests::test_session::{TestSession, failure, find};

fn read(name: &str, bytes: &[u8]) -> Dataset {
    let read = Dataset::parse(name, bytes).unwrap_or_else(|error| panic!("{error}"));
    // The page has another program open the file, and reads what came of it.
    let opened = Dataset::parse(name, &open(bytes).to_bytes()).expect("what was opened is read");
    assert_eq!(opened, read);
    read
}

fn refusal(name: &str, bytes: &[u8]) -> Error {
    let error = Dataset::parse(name, bytes).expect_err("it is refused");
    assert!(error.remedy.is_some(), "{error}");
    error
}

fn said(notes: &[Message]) -> String {
    notes.iter().map(|note| note.english() + "\n").collect()
}

fn text(content: &Content) -> &str {
    match content {
        Content::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    }
}

fn texts(data: &Dataset) -> Vec<&str> {
    data.rows.iter().map(|row| text(&row.content)).collect()
}

#[test]
fn a_sheet_is_read_with_its_numbers_dates_values_and_what_is_wrong_in_it() -> Result<()> {
    let content = "<sheetData>\
        <row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>text</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>label</t></is></c>\
            <c r=\"C1\" t=\"inlineStr\"><is><t>when</t></is></c><c r=\"D1\" t=\"inlineStr\"><is><t>sum</t></is></c></row>\
        <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>late &amp; wet</t></is></c><c r=\"B2\"><v>1</v></c>\
            <c r=\"C2\" s=\"1\"><v>45000</v></c><c r=\"D2\"><f>B2+1.5</f><v>2.5</v></c></row>\
        <row r=\"4\"><c r=\"A4\" t=\"inlineStr\"><is><t>in time</t></is></c><c r=\"B4\"><v>0</v></c>\
            <c r=\"C4\" t=\"b\"><v>1</v></c><c r=\"D4\" t=\"e\"><v>#N/A</v></c></row>\
        <row r=\"9\"><c r=\"A9\" t=\"inlineStr\"><is><t> </t></is></c></row>\
        </sheetData><mergeCells count=\"1\"><mergeCell ref=\"C2:C3\"/></mergeCells>";
    let book = workbook(&[("Mails", content.to_owned()), ("Notes", cells(&[&["x"]]))])?;
    let data = read("book.xlsx", &book);
    assert_eq!(data.name, "book.xlsx › Mails");
    assert_eq!(data.columns, ["text", "label", "when", "sum"]);
    let rows: Vec<(usize, &str)> = data.rows.iter().map(|row| row.number).zip(texts(&data)).collect();
    assert_eq!(rows, [(2, "late & wet"), (4, "in time")]);
    let columns = |name: &str| Columns {
        texts: vec!["text".into()],
        labels: vec![name.into()],
        ..Columns::default()
    };
    let values = |name: &str| -> Vec<String> {
        let read = data.labelled(&columns(name)).expect("rows");
        read.rows.iter().map(|row| row.values[0].to_string()).collect()
    };
    assert_eq!(values("label"), ["1", "0"]);
    assert_eq!(values("when"), ["\"2023-03-15\"", "true"]);
    assert_eq!(values("sum"), ["2.5", "null"]);
    let notes = said(&data.notes);
    for words in ["'Mails' is read; not read: Notes", "Merged cells: C2:C3", "D4 #N/A"] {
        assert!(notes.contains(words), "{notes}");
    }
    // A row that is wrong is named as the spreadsheet numbers it.
    let rows = cells(&[&["prompt", "completion"], &["a", "b"], &["c"]]);
    let error = refusal("pairs.xlsx", &workbook(&[("One", rows)])?);
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("pairs.xlsx"), Some(3)),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_run_names_the_sheet_that_it_reads() -> Result<()> {
    let first = cells(&[&["text", "label"], &["one", "a"]]);
    let second = cells(&[&["text", "label"], &["two", "b"], &["three", "a"]]);
    let book = workbook(&[("Mails", first), ("Old mails", second), ("Empty", cells(&[]))])?;
    let read = |sheet: &str| {
        let config = RunConfig {
            sheet: Some(sheet.to_owned()),
            ..RunConfig::default()
        };
        Dataset::read_by("book.xlsx", &book, &Reading::of(&config), None, false).map(|(data, _)| data)
    };
    let data = read("Old mails")?;
    assert_eq!(
        (data.name.as_str(), texts(&data)),
        ("book.xlsx › Old mails", vec!["two", "three"])
    );
    assert_eq!(data.info().sheets, ["Mails", "Old mails", "Empty"]);
    assert!(
        said(&data.notes).contains("'Old mails' is read; not read: Mails, Empty"),
        "{:?}",
        data.notes
    );
    let error = read("Mail").expect_err("there is none");
    let told = error.to_string();
    assert!(
        told.contains("no sheet 'Mail' among: Mails, Old mails, Empty"),
        "{told}"
    );
    assert_eq!(error.field_name(), Some("sheet"));
    let error = read("Empty").expect_err("it has no rows");
    assert_eq!(error.field_name(), Some("Empty"), "{error}");
    // Unnamed, it is the first one with rows.
    let rows = cells(&[&["text"], &["here"]]);
    let book = workbook(&[("Cover", cells(&[])), ("Rows", rows)])?;
    assert_eq!(texts(&self::read("book.xlsx", &book)), ["here"]);
    Ok(())
}

/// What polars 2.1.0 and pyarrow 26.0.1 (data_page_version="2.0") write by compression="zstd" of the columns text and label.
const OF_POLARS: &str = "50415231150415a40115624c15041500000028b52ffd2052450100f8280000006c61746520616e64207765742c2022000000696e2074 \
    696d652c2002002ccb17f60c031500151215242c15061510150615061c360228286c61746520616e64207765742c206c61746520616e \
    64207765742c206c61746520616e64207765741822696e2074696d652c20696e2074696d652c20696e2074696d652c20696e2074696d \
    6500000028b52ffd2009490000020000000303010302150c193500061019180474657874150c160616980316e80226860126081c3602 \
    28286c61746520616e64207765742c206c61746520616e64207765742c206c61746520616e64207765741822696e2074696d652c2069 \
    6e2074696d652c20696e2074696d652c20696e2074696d6500001504152015324c15041500000028b52ffd2010810000000000000000 \
    000001000000000000001500151215242c15061510150615061c3600280801000000000000001808000000000000000000000028b52f \
    fd2009490000020000000601010305150419350006101918056c6162656c150c1606169e0116c201269c0526d0041c36002808010000 \
    0000000000180800000000000000000000191102191822696e2074696d652c20696e2074696d652c20696e2074696d652c20696e2074 \
    696d651918286c61746520616e64207765742c206c61746520616e64207765742c206c61746520616e64207765741500191602001911 \
    0219180800000000000000001918080100000000000000150019160000191c16860115ea0116000000191c169c051576160000001502 \
    193c4804726f6f74150400150c250218047465787425004c1c0000001504250218056c6162656c001606191c192c26ee031c150c1935 \
    00061019180474657874150c160616980316e80226860126081c360228286c61746520616e64207765742c206c61746520616e642077 \
    65742c206c61746520616e64207765741822696e2074696d652c20696e2074696d652c20696e2074696d652c20696e2074696d650000 \
    16f208151816820715b2010026de061c150419350006101918056c6162656c150c1606169e0116c201269c0526d0041c360028080100 \
    000000000000180800000000000000000000168a09151616b408153e0016b6041606260816aa04140000191c180c4152524f573a7363 \
    68656d6118ec012f2f2f2f2f366b41414141454141414138762f2f2f78514141414145414145414141414b414173414341414b414151 \
    412b502f2f2f77774141414149414167414141414541414941414142414141414142414141414c542f2f2f386f414141414541414141 \
    4167414141414241674141414141414150542f2f2f394141414141415141414141674143514145414167414251414141477868596d56 \
    734141414137502f2f2f7977414141416741414141474141414141455541414151414249414241415141424541434141414141774141 \
    41414141507a2f2f2f384541415141424141414148526c6548514100184e506f6c6172732028707974686f6e292076657273696f6e20 \
    322e312e3020286275696c64203766393032626433666664323766663832643134323738613039613239356666326637616564393229 \
    192c1c00001c0000005d02000050415231";
const OF_ARROW: &str = "50415231150415a40115624c1504150012000028b52ffd2052450100f8280000006c61746520616e64207765742c2022000000696e20 \
    74696d652c2002002ccb17f60c031506150a150a5c150615021506151015041500121c00000003030103021504152015224c15041500 \
    12000028b52ffd2010450000100100010032c0021506150a150a5c150615001506151015041500121c00000006010103021504193c35 \
    001806736368656d61150400150c250218047465787425004c1c0000001504250218056c6162656c001606191c192c26001c150c1935 \
    00061019180474657874150c160616fc0116ba012688012608292c15041500150200150015101502003c169401190619260204000000 \
    26001c150419350006101918056c6162656c150c16061676167826800226c201292c15041500150200150015101502003c2906192600 \
    0600000016f2021606260816b202002820706172717565742d6370702d6172726f772076657273696f6e2032362e302e31192c1c0000 \
    1c000000e100000050415231";

#[test]
fn parquet_files_compressed_by_zstandard_are_read_and_broken_ones_refused() {
    for written in [OF_POLARS, OF_ARROW] {
        let digits: Vec<u8> = written.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("a byte");
        let file: Vec<u8> = digits.chunks(2).map(byte).collect();
        let data = read("rows.parquet", &file);
        let wanted = [
            "late and wet, late and wet, late and wet",
            "in time, in time, in time, in time",
        ];
        let columns = Columns {
            texts: vec!["text".into()],
            labels: vec!["label".into()],
            ..Columns::default()
        };
        let told = data
            .labelled(&columns)
            .expect_err("the last row has a label and no text");
        assert_eq!(told.row, Some(3), "{told}");
        assert_eq!(texts(&data), wanted);
        for at in 0..file.len() {
            // Whatever is read of it, or why not: nothing breaks down.
            let mut broken = file.clone();
            broken[at] ^= 0x55;
            drop(Dataset::parse("rows.parquet", &broken));
        }
    }
}

#[test]
fn a_sheet_without_names_of_columns_is_told_from_its_rows_and_the_run_has_the_last_word() -> Result<()> {
    let rows: [&[&str]; 6] = [
        &["ham", "see you at nine"],
        &["spam", "you have won a prize"],
        &["ham", "the train is late"],
        &["ham", "call me when you are home"],
        &["spam", "claim your prize now"],
        &["ham", "where are the keys"],
    ];
    let book = workbook(&[("Sheet1", cells(&rows))])?;
    let data = read("book.xlsx", &book);
    assert_eq!(
        (data.columns.as_slice(), data.info().rows),
        (["column_1".to_owned(), "column_2".to_owned()].as_slice(), 6)
    );
    assert!(said(&data.notes).contains("first row is read as data"));
    let config = RunConfig {
        header: Some(true),
        ..RunConfig::default()
    };
    let reading = Reading::of(&config);
    let (named, _) = Dataset::read_by("book.xlsx", &book, &reading, None, false)?;
    assert_eq!((named.columns[0].as_str(), named.info().rows), ("ham", 5));
    Ok(())
}

#[test]
fn a_parquet_file_has_the_rows_of_the_same_lines_of_json() -> Result<()> {
    let rows = [("good", 1), ("bad", 0), ("who knows", -1)];
    let lines = "{\"text\": \"good\", \"label\": 1}\n{\"text\": \"bad\", \"label\": 0}\n{\"text\": \"who knows\", \"label\": null}\n";
    let wanted = Dataset::parse("rows.jsonl", lines.as_bytes())?.labelled(&Columns::default())?;
    for is_gzip in [false, true] {
        let found = read("rows.parquet", &parquet(&rows, is_gzip)?).labelled(&Columns::default())?;
        assert_eq!(found.rows, wanted.rows);
    }
    Ok(())
}

#[test]
fn an_archive_is_its_texts_or_its_one_table() -> Result<()> {
    let texts_inside = archive(&[
        ("b.md", b"second"),
        ("a.txt", b"caf\xe9 in the morning"),
        ("empty.txt", b" \n"),
        ("__MACOSX/._a.txt", b"\0"),
        ("cover.png", b"\x89PNG"),
    ])?;
    let data = read("texts.zip", &texts_inside);
    assert_eq!(
        (data.form, texts(&data)),
        (Schema::Text, vec!["café in the morning", "second"])
    );
    let notes = said(&data.notes);
    assert!(
        notes.contains("3 files") && notes.contains("Not read: cover.png") && notes.contains("Windows-1252"),
        "{notes}"
    );

    let table = archive(&[
        ("read me.txt", b"x"),
        ("rows/data.csv", b"prompt,completion\na,b\nc,\n"),
    ])?;
    let error = refusal("table.zip", &table);
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("table.zip › rows/data.csv"), Some(3)),
        "{error}"
    );
    let book = workbook(&[("One", cells(&[&["text"], &["a text"]]))])?;
    let data = read("book.zip", &archive(&[("book.xlsx", &book)])?);
    assert_eq!(
        (data.name.as_str(), texts(&data)),
        ("book.zip › book.xlsx", vec!["a text"])
    );

    let two = refusal(
        "two.zip",
        &archive(&[("a.csv", b"text\nx\n"), ("b.csv", b"text\ny\n")])?,
    );
    assert!(two.to_string().contains("a.csv, b.csv"), "{two}");
    let word = refusal(
        "word.docx",
        &archive(&[("[Content_Types].xml", b""), ("word/document.xml", b"")])?,
    );
    assert!(word.to_string().contains("Office document"), "{word}");
    let inner = archive(&[("a.txt", b"x")])?;
    let nested = refusal("nested.zip", &archive(&[("a.csv", &inner)])?);
    assert!(nested.to_string().contains("archive within an archive"), "{nested}");
    Ok(())
}

#[test]
fn what_unpacks_into_too_much_is_refused_before_it_is_kept() -> Result<()> {
    let bytes = bomb("a.txt", MOST_BYTES as u64 + 1)?;
    assert!(bytes.len() < 1 << 20);
    let error = refusal("bomb.zip", &bytes);
    assert!(error.to_string().contains("250 MB"), "{error}");
    // A cell far away is no wide table.
    let far = "<sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>text</t></is></c></row>\
               <row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row></sheetData>";
    let error = refusal("far.xlsx", &workbook(&[("One", far.to_owned())])?);
    assert!(error.to_string().contains("every row is empty"), "{error}");
    Ok(())
}

#[test]
fn broken_files_are_refused_and_no_more() -> Result<()> {
    let book = workbook(&[("One", cells(&[&["prompt", "completion"], &["a", "b"]]))])?;
    let rows = parquet(&[("good", 1), ("bad", 0)], false)?;
    for (name, bytes) in [("book.xlsx", book), ("rows.parquet", rows)] {
        for place in (4..bytes.len()).step_by(23) {
            let cut = Dataset::parse(name, &bytes[..place]);
            assert!(cut.is_err(), "{name} cut at {place}");
            let mut other = bytes.clone();
            other[place] ^= 0x55;
            // It may still be a file; what it holds is another matter.
            let _ = Dataset::parse(name, &other);
        }
    }
    let forged = Opened::of_files(vec![("a.csv".into(), b"text\nx\n".to_vec())], Vec::new()).to_bytes();
    for place in 0..forged.len() {
        let mut other = forged.clone();
        other.truncate(place);
        assert!(Dataset::parse("a.csv", &other).is_err(), "{place}");
    }
    Ok(())
}

#[test]
fn a_folder_of_texts_and_a_sheet_are_trained_on() -> Result<()> {
    let file = |name: &str, bytes: &[u8]| -> Source { MemoryFile::source(name, bytes.to_vec()) };
    let rows = |session: &TestSession| -> DataInfo {
        find(session, |event| match event {
            Event::Data(info) => Some(info.clone()),
            _ => None,
        })
    };
    let mut session = TestSession::open();
    let load = |file: &str| Command::LoadData { file: file.into() };
    session.ask(
        load("b.txt"),
        vec![file("b.txt", b"The second text."), file("a.md", b"The first text.")],
    );
    let info = rows(&session);
    assert_eq!((info.name.as_str(), info.rows), ("a.md + b.txt", 2));
    session.ask(
        load("a.csv"),
        vec![file("a.csv", b"text\nx\n"), file("b.csv", b"text\ny\n")],
    );
    assert!(failure(&session).to_string().contains("several tables"));

    let lines: Vec<String> = (0..12).map(|row| format!("row {}", char::from(b'a' + row))).collect();
    let mut table: Vec<&[&str]> = vec![&["ask", "say"]];
    let pairs: Vec<[&str; 2]> = lines.iter().map(|line| [line.as_str(), "yes"]).collect();
    table.extend(pairs.iter().map(|pair| pair.as_slice()));
    let book = workbook(&[("One", cells(&table))])?;
    session.ask(load("book.xlsx"), vec![file("book.xlsx", &book)]);
    assert_eq!(rows(&session).rows, 12);
    session.train(RunConfig {
        model_name_or_path: "tiny".into(),
        train_file: "book.xlsx".into(),
        output_dir: "out".into(),
        prompt_columns: vec!["say".into()],
        completion_column: Some("ask".into()),
        cutoff_len: 32,
        val_size: 2.0,
        max_steps: 2,
        eval_steps: 0.0,
        save_steps: 0.0,
        ..RunConfig::default()
    });
    assert_eq!(session.summary().steps, 2);
    Ok(())
}
