//! The words about the audit of data, the columns and the preview of rows.

use super::counted;
use lorakeet_core::protocol::{AuditKind, ColumnRole};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A run refuses the data, or its scores are wrong.
    Error,
    /// A run learns something that is not meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// The words about the audit, in one language.
pub struct AuditWords {
    /// Heading.
    pub title: &'static str,
    /// It is under way.
    pub checking: &'static str,
    /// There are so many rows that it waits for a press.
    pub many_rows: &'static str,
    /// The button that starts it then.
    pub start: &'static str,
    /// It cannot be done.
    pub problem: &'static str,
    /// So many checks found nothing.
    pub fine: fn(usize) -> String,
    /// So many checks found errors, warnings and notes.
    pub found: fn(usize, [usize; 3]) -> String,
    /// How much a finding matters.
    pub severity: fn(Severity) -> &'static str,
    /// The fold with the first rows of a finding.
    pub show_rows: fn(usize) -> String,
    /// Column heading: the number of a row.
    pub row: &'static str,
    /// Column heading: the start of a row.
    pub text: &'static str,
    /// Behind the number of a row of the validation file.
    pub of_validation: &'static str,
    /// The row that it is like.
    pub like: fn(usize) -> String,
    /// The button that leaves the rows of a finding out.
    pub leave_out: &'static str,
    /// The button that has a run read placeholders for personal data.
    pub mask: &'static str,
    /// Rows of this kind are left out.
    pub left_out: fn(u64, &str) -> String,
    /// A knob was set by a press: its name, its value, and what it was.
    pub setting: fn(&str, &str, &str) -> String,
    /// The button that takes them back in.
    pub undo: &'static str,
    /// Rows of a finding, in the middle of a sentence.
    pub kind: fn(AuditKind) -> &'static str,
    /// The file itself stays as it is.
    pub file_stays: &'static str,
    /// The button that hands over the rows that are left.
    pub download: &'static str,
    /// The choice of an encoding.
    pub encoding: &'static str,
    /// The encoding that is told from the bytes.
    pub encoding_found: &'static str,
    /// Caption of the columns.
    pub columns: &'static str,
    /// Column heading: what a column is.
    pub role: &'static str,
    /// What a column is.
    pub role_name: fn(ColumnRole) -> &'static str,
    /// What the choice of a column's role is called.
    pub role_of: fn(&str) -> String,
    /// The choice of what the first row of a table is.
    pub first_row: &'static str,
    /// Which sheet of a workbook.
    pub sheet: &'static str,
    /// It names the columns.
    pub first_row_names: &'static str,
    /// It is a row like the others.
    pub first_row_data: &'static str,
    /// Where rows are pasted or typed.
    pub paste: &'static str,
    /// What can be pasted.
    pub paste_hint: &'static str,
    /// The button that takes what was pasted.
    pub paste_use: &'static str,
    /// What is cut off.
    pub preview_cut: &'static str,
    /// Of an example: how many tokens were cut off.
    pub cut: fn(usize) -> String,
    /// Nothing of an example is learnt, because its answer begins behind what is kept; the row has so many tokens.
    pub answer_cut: fn(usize) -> String,
    /// Nothing of an example is learnt for another reason.
    pub nothing_learnt: &'static str,
    /// The field that takes the number of the example to show.
    pub go_to: &'static str,
}

/// The English words.
pub static ENGLISH: AuditWords = AuditWords {
    title: "Data audit",
    checking: "Checking the rows…",
    many_rows: "There are many rows: the audit takes a while.",
    start: "Check the data",
    problem: "The data cannot be audited:",
    fine: |checks| format!("{checks} checks, nothing found"),
    found: |checks, [errors, warnings, notes]| {
        let (errors, warnings, notes) = (
            counted(errors, "error"),
            counted(warnings, "warning"),
            counted(notes, "note"),
        );
        format!("{checks} checks: {errors}, {warnings}, {notes}")
    },
    severity: |severity| match severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
        Severity::Note => "Note",
    },
    show_rows: |rows| match rows {
        1 => "Show the row".to_owned(),
        rows => format!("Show rows ({rows})"),
    },
    row: "Row",
    text: "Text",
    of_validation: "validation",
    like: |row| format!("like row {row}"),
    leave_out: "Leave these rows out",
    mask: "Replace by placeholders",
    left_out: |rows, kind| format!("{} left out: {kind}", counted(rows, "row")),
    setting: |knob, value, before| format!("{knob}: {value} (before: {before})"),
    undo: "Undo",
    kind: |kind| match kind {
        AuditKind::EmptyRows => "empty rows",
        AuditKind::MissingLabels => "rows without a label",
        AuditKind::ConflictingLabels => "conflicting labels",
        AuditKind::ProbablyMislabelled => "labels that are probably wrong",
        AuditKind::ExactDuplicates => "exact duplicates",
        AuditKind::NearDuplicates => "near duplicates",
        AuditKind::ExactLeakage => "validation rows that are trained on",
        AuditKind::NearLeakage => "validation rows nearly the same as training rows",
        AuditKind::Mojibake => "garbled text",
        AuditKind::ReplacementCharacters => "lost characters",
        AuditKind::ControlCharacters => "control characters",
        AuditKind::EmailAddresses => "e-mail addresses",
        AuditKind::PhoneNumbers => "phone numbers",
        AuditKind::Ibans => "bank accounts",
        AuditKind::PaymentCards => "payment cards",
        AuditKind::ResidentIds => "resident identity numbers",
        other => other.name(),
    },
    file_stays: "Your file is not changed; drop_rows in the run file records this.",
    download: "Download the remaining rows (.jsonl)",
    encoding: "Encoding",
    encoding_found: "detected",
    columns: "Columns and their roles",
    role: "Role",
    role_name: |role| match role {
        ColumnRole::Text => "text",
        ColumnRole::SecondText => "second text",
        ColumnRole::Label => "label",
        ColumnRole::Prompt => "prompt",
        ColumnRole::Completion => "completion",
        ColumnRole::System => "system prompt",
        ColumnRole::Conversation => "conversation",
        ColumnRole::Named => "used by its name",
        ColumnRole::Ignored => "ignored",
    },
    role_of: |column| format!("Role of column {column}"),
    first_row: "First row",
    sheet: "Sheet",
    first_row_names: "names of the columns",
    first_row_data: "data",
    paste: "Paste or type rows",
    paste_hint: "Rows copied from a spreadsheet, CSV, JSON or JSON lines, or plain text.",
    paste_use: "Use these rows",
    preview_cut: "cut off",
    cut: |tokens| format!("{} cut off by cutoff_len", counted(tokens, "token")),
    answer_cut: |tokens| {
        format!(
            "No token of this example counts in the loss: its answer begins after cutoff_len. Raise cutoff_len; the example has {tokens} tokens."
        )
    },
    nothing_learnt: "No token of this example counts in the loss: check which column holds the answer, and the chat template.",
    go_to: "Go to example",
};

/// The Chinese words.
pub static CHINESE: AuditWords = AuditWords {
    title: "数据检查",
    checking: "正在检查数据…",
    many_rows: "数据条数较多，检查需要一些时间。",
    start: "检查数据",
    problem: "无法检查数据：",
    fine: |checks| format!("{checks} 项检查，未发现问题"),
    found: |checks, [errors, warnings, notes]| {
        format!("{checks} 项检查：错误 {errors} 个，警告 {warnings} 个，提示 {notes} 个")
    },
    severity: |severity| match severity {
        Severity::Error => "错误",
        Severity::Warning => "警告",
        Severity::Note => "提示",
    },
    show_rows: |rows| format!("查看数据（{rows} 条）"),
    row: "行号",
    text: "文本",
    of_validation: "验证集",
    like: |row| format!("与第 {row} 行相同或相似"),
    leave_out: "舍去这些数据",
    mask: "替换为占位符",
    left_out: |rows, kind| format!("已舍去 {rows} 条：{kind}"),
    setting: |knob, value, before| format!("{knob}: {value}（原为 {before}）"),
    undo: "撤销",
    kind: |kind| match kind {
        AuditKind::EmptyRows => "空数据",
        AuditKind::MissingLabels => "缺少标签",
        AuditKind::ConflictingLabels => "标签冲突",
        AuditKind::ProbablyMislabelled => "标签可能有误",
        AuditKind::ExactDuplicates => "完全重复",
        AuditKind::NearDuplicates => "近似重复",
        AuditKind::ExactLeakage => "与训练数据相同的验证数据",
        AuditKind::NearLeakage => "与训练数据近似的验证数据",
        AuditKind::Mojibake => "乱码",
        AuditKind::ReplacementCharacters => "字符丢失",
        AuditKind::ControlCharacters => "控制字符",
        AuditKind::EmailAddresses => "电子邮件地址",
        AuditKind::PhoneNumbers => "电话号码",
        AuditKind::Ibans => "银行账号",
        AuditKind::PaymentCards => "银行卡号",
        AuditKind::ResidentIds => "居民身份证号",
        other => other.name(),
    },
    file_stays: "原文件不会改动；运行文件中的 drop_rows 记录了这些处理。",
    download: "下载剩余的数据（.jsonl）",
    encoding: "编码",
    encoding_found: "自动检测",
    columns: "列及其用途",
    role: "用途",
    role_name: |role| match role {
        ColumnRole::Text => "文本",
        ColumnRole::SecondText => "第二个文本",
        ColumnRole::Label => "标签",
        ColumnRole::Prompt => "提示词",
        ColumnRole::Completion => "回答",
        ColumnRole::System => "系统提示词",
        ColumnRole::Conversation => "对话",
        ColumnRole::Named => "按列名使用",
        ColumnRole::Ignored => "忽略",
    },
    role_of: |column| format!("列 {column} 的用途"),
    first_row: "第一行",
    sheet: "工作表",
    first_row_names: "列名",
    first_row_data: "数据",
    paste: "粘贴或输入数据",
    paste_hint: "可粘贴从电子表格复制的行、CSV、JSON、JSON Lines 或纯文本。",
    paste_use: "使用这些数据",
    preview_cut: "被截断",
    cut: |tokens| format!("{tokens} 个 token 被 cutoff_len 截断"),
    answer_cut: |tokens| {
        format!(
            "该样本没有 token 计入损失：回答在 cutoff_len 之后才开始。请调大 cutoff_len；该样本共 {tokens} 个 token。"
        )
    },
    nothing_learnt: "该样本没有 token 计入损失：请检查哪一列是回答，以及对话模板。",
    go_to: "跳转到样本",
};
